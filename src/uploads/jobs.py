"""The record of an upload that is not finished, and the limits of what may be uploaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

from framewatch.model.upload import Kind, Upload

OPEN: Final = frozenset({"waiting", "sending", "classifying"})  # states that are not final
MAX_TITLE: Final = 100  # characters

QueueName = Literal["images", "short-videos", "long-videos"]
QUEUES: Final[tuple[QueueName, ...]] = get_args(QueueName)


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What clients may upload.

    Attributes:
        image_bytes: of a picture.
        video_bytes: of a video.
        short_video_bytes: of a video that does not wait behind longer ones.
        receiving: files that are received at a time. The last of these slots is kept for files no larger than a
            picture, so that slow uploads of large videos do not shut pictures out.
        waiting: files that wait in each queue.
        unfinished: files of each queue that are not classified yet, those that wait included.
        per_minute: files of one client.
    """

    image_bytes: int = 10_000_000
    video_bytes: int = 500_000_000
    short_video_bytes: int = 50_000_000
    receiving: int = 4
    waiting: int = 8
    unfinished: int = 64
    per_minute: int = 30

    def max_bytes(self, kind: Kind) -> int:
        """Bytes that an upload of this kind may have."""
        return self.image_bytes if kind == "image" else self.video_bytes

    def queue(self, kind: Kind, size: int) -> QueueName:
        """The queue of a file of this kind and of so many bytes."""
        if kind == "image":
            return "images"
        return "short-videos" if size <= self.short_video_bytes else "long-videos"


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
    """An upload that is not finished.

    Attributes:
        upload: its present state.
        run: under which its frames are sent.
        attempts: at sending it; more than one where servers ended meanwhile.
        sent: how much of it is on the topic.
        deleted: its events are to be deleted, now and once more when no more can come.
        saved: its state as last written to the store.
        saved_s: when that was, monotonic.
        moved_s: when a frame was last classified, monotonic.
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
        """Change its state; any thread may."""
        with self._lock:
            self.upload = replace(self.upload, **changes)

    def as_note(self, **changes: Any) -> dict[str, Any]:
        """What another server needs to resume it, as JSON: with these changes of its state, if any."""
        note = {"run": self.run, "attempts": self.attempts, "deleted": self.deleted}
        return note | {"upload": asdict(replace(self.upload, **changes)), "sent": asdict(self.sent)}

    @classmethod
    def from_note(cls, note: dict[str, Any]) -> Job:
        """The job of a note; raises KeyError, TypeError or ValueError for what is no such note."""
        upload, sent = Upload(**note["upload"]), Sent(**note["sent"])
        return cls(upload, str(note["run"]), int(note["attempts"]), sent, bool(note["deleted"]))


def clean_title(title: str) -> str:
    """The client's name of a file as a title: one line of printable characters, not too long."""
    return " ".join("".join(c if c.isprintable() else " " for c in title).split())[:MAX_TITLE].strip()
