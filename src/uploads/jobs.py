"""What is known of an uploaded file on its way, and what may be uploaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

from framewatch.model.upload import Upload

OPEN: Final = frozenset({"waiting", "sending", "classifying"})  # states that are no end
MAX_TITLE: Final = 100  # characters


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What clients may upload.

    Attributes:
        image_bytes: of a picture.
        video_bytes: of a video.
        receiving: files at a time that are received.
        waiting: files that wait to be sent.
        per_minute: files of one client.
    """

    image_bytes: int = 10_000_000
    video_bytes: int = 500_000_000
    receiving: int = 4
    waiting: int = 8
    per_minute: int = 30

    def of(self, kind: str) -> int:
        """Bytes that an upload of a kind may have."""
        return self.image_bytes if kind == "image" else self.video_bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """How much of a file is on the topic.

    Attributes:
        total: frames that it has, or None while nobody knows.
        delivered: frames that are there.
        partition: on which.
        first_offset: of the first.
        last_offset: of the last.
        error: why it ended early, for people; empty where it did not.
    """

    total: int | None = None
    delivered: int = 0
    partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    error: str = ""


class Send(Protocol):
    """Sends the frames of a file in a process of its own, and waits for its end.

    Calls ``on_progress`` some times a second, and ends soon after ``stopped`` becomes true. Does not raise: what went
    wrong is the result's ``error``.
    """

    def __call__(  # noqa: D102
        self,
        file: Path,
        upload: Upload,
        run: str,
        on_progress: Callable[[Sent], None],
        stopped: Callable[[], bool],
        /,
    ) -> Sent: ...


@dataclass(slots=True)
class Job:
    """An upload that is not over.

    Attributes:
        upload: as it is to be told.
        run: under which its frames are sent.
        attempts: at sending it; more than one where servers ended meanwhile.
        sent: what of it is on the topic.
        deleted: its events are to be deleted, now and once more when no more can come.
        saved: as the store has it.
        saved_s: when that was, monotonic.
        moved_s: when a frame was classified last, monotonic.
    """

    upload: Upload
    run: str
    attempts: int = 0
    sent: Sent = field(default_factory=Sent)
    deleted: bool = False
    saved: Upload | None = None
    saved_s: float = 0.0
    moved_s: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def change(self, **changes: Any) -> None:
        """Change what is told of it; more than one thread does."""
        with self._lock:
            self.upload = replace(self.upload, **changes)

    def as_note(self, **changes: Any) -> dict[str, Any]:
        """What another server needs to know to go on with it, as JSON: as it is, or will be by these changes."""
        known = {"run": self.run, "attempts": self.attempts, "deleted": self.deleted}
        return known | {"upload": asdict(replace(self.upload, **changes)), "sent": asdict(self.sent)}

    @classmethod
    def from_note(cls, known: dict[str, Any]) -> Job:
        """The job as noted; raises KeyError, TypeError or ValueError for what is no such note."""
        upload, sent = Upload(**known["upload"]), Sent(**known["sent"])
        return cls(upload, str(known["run"]), int(known["attempts"]), sent, bool(known["deleted"]))


def shown(title: str) -> str:
    """What a client calls its file, as text to be shown: printable, in one line, not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in title).split())[:MAX_TITLE].strip()
