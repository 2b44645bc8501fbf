"""An alert: where and when a rule was broken, until when, and whether the webhook got it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from framewatch.model.episode import Episode
from framewatch.model.event import END_US, is_storable

Webhook = Literal["none", "waiting", "sent", "failed"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One breach of one rule on one stream.

    Attributes:
        rule: name of the rule.
        stream: name of the stream.
        label: what was seen.
        start_us: capture time at which the rule was first broken, microseconds since 1970 UTC.
        since_us: start of the stretch that broke it.
        seconds: of the label that counted at that moment.
        text: one line for people.
        until_us: when the breach was over; None while it lasts.
        webhook: "none" where no webhook is set; else whether the alert was sent.
        attempts: to send it.
        error: of the last attempt.

    Raises:
        ValueError: it has a value that no store could keep or no reader could use.
    """

    rule: str
    stream: str
    label: str
    start_us: int
    since_us: int
    seconds: float
    text: str
    until_us: int | None = None
    webhook: Webhook = "none"
    attempts: int = 0
    error: str = ""

    def __post_init__(self) -> None:
        for text in (self.rule, self.stream, self.label, self.text, self.error or "none"):
            if not is_storable(text):
                raise ValueError(f"got {text[:80]!r}: expected text without NUL and without halves of characters")
        if not 0 <= self.since_us <= self.start_us <= (self.until_us or self.start_us) < END_US:
            got = f"{self.since_us}, {self.start_us}, {self.until_us}"
            raise ValueError(f"got {got}: expected microseconds since 1970, in order")
        if self.webhook not in get_args(Webhook):
            raise ValueError(f"got webhook {self.webhook!r}: expected one of {', '.join(get_args(Webhook))}")
        if not 0 <= self.seconds < END_US or self.attempts < 0:
            raise ValueError(f"got {self.seconds} seconds, {self.attempts} attempts: expected none below 0")

    @property
    def id(self) -> str:
        """``rule/stream/start_us``."""
        return f"{self.rule}/{self.stream}/{self.start_us}"

    def ended_with(self, past: Iterable[Episode]) -> Alert:
        """The alert as over: since the end of the last of the stream's episodes that has its label."""
        ends = (episode.end_us for episode in past if episode.label == self.label)
        return replace(self, until_us=max((self.start_us, *ends)))
