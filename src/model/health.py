"""How a worker is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Health:
    """What ``/health`` says.

    Attributes:
        status: ``healthy``, or ``unhealthy`` when a part is down or nothing is stored any more.
        broker: ``up`` or ``down``.
        store: ``up`` or ``down``.
        partitions: of the topic that the group has given to this worker.
        lag: frames in these partitions that are not shown yet, or None while the broker cannot be asked.
        frames_per_second: classified, over the last five seconds.
        detect_ms: median time of the classifier for a frame.
        latency_ms: median time from capture to shown.
        viewers: watching now.
        counts: records received, classified, put among the dead letters, dropped since not even that was possible;
            events stored and found stored already; records done, whose offsets may be committed.
        problem: why nothing is stored any more, such as a sink that does not answer; None while all is well.
    """

    status: str
    broker: str
    store: str
    partitions: int
    lag: int | None
    frames_per_second: float
    detect_ms: float
    latency_ms: float
    viewers: int
    counts: dict[str, int]
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)
