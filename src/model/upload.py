"""An upload: one file that somebody sent, a stream of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from framewatch.model.event import END_US, is_storable

Kind = Literal["image", "video"]


State = Literal["waiting", "sending", "classifying", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that somebody uploaded, a stream of its own.

    Attributes:
        id: made by the server.
        stream: its stream, named as the id.
        title: for people: what the file was called.
        kind: what the file is, by its content.
        time_us: when it came, microseconds since 1970 UTC.
        state: how far it has come.
        total: frames it has, or None while nobody knows.
        sent: frames given to Kafka.
        classified: frames whose events are stored.
        error: why it failed.
        bytes: size of the file.

    Raises:
        ValueError: it has a value that no store could keep or no reader could use.
    """

    id: str
    stream: str
    title: str
    kind: Kind
    time_us: int
    state: State = "waiting"
    total: int | None = None
    sent: int = 0
    classified: int = 0
    error: str = ""
    bytes: int = 0

    def __post_init__(self) -> None:
        for text in (self.id, self.title or "none", self.error or "none"):
            if not is_storable(text):
                raise ValueError(f"got {text[:80]!r}: expected text without NUL and without halves of characters")
        if self.stream != self.id:
            raise ValueError(f"got id {self.id!r}, stream {self.stream!r}: expected one name")
        if self.kind not in get_args(Kind) or self.state not in get_args(State):
            kinds, states = ", ".join(get_args(Kind)), ", ".join(get_args(State))
            raise ValueError(f"got {self.kind!r}, {self.state!r}: expected one of {kinds}; and one of {states}")
        if not 0 <= self.time_us < END_US or min(self.total or 0, self.sent, self.classified, self.bytes) < 0:
            raise ValueError(
                "got a time or number below 0 or too great: expected microseconds since 1970, frames, bytes"
            )
