"""Every error Framewatch raises on purpose.

FramewatchError
├── SettingError        a setting or option has a value that cannot be used
├── SourceError         a video, folder, camera or address cannot be read
├── BadRecord           a Kafka record is not a frame: carries the reason it is rejected with
│   └── BadPicture          its bytes are not the JPEG picture they should be
├── BadBundle           a folder is not a trained model that can be served
├── DataError           pictures and labels from which nothing can be learned or measured
├── CapacityExceeded    as many as are allowed are watching, listening or downloading
├── FrameGone           Kafka no longer has a frame, or has another record at its offset
├── TopicRefused        Kafka refuses a topic for good, such as for want of rights
├── ServiceError        an embedded service (Kafka, store) cannot be prepared, started or kept up
├── StoreRefused        the MongoDB store refuses for good: asking again is of no use
└── Unavailable
    ├── BrokerUnavailable   no Kafka broker answers
    ├── StoreUnavailable    the MongoDB store did not take or give what was asked, and may later
    └── ObjectsUnavailable  the object store (S3, MinIO) did not, and may later

Each message says what was got, what was expected and, where somebody can do something, what to do.
"""

from __future__ import annotations


def install_hint(extra: str) -> str:
    """How to get the packages of an extra, for messages that name one that is missing."""
    return f"pip install -e '.[{extra}]' in Framewatch's checkout"


class FramewatchError(Exception):
    """Root of all errors that end a command with one line instead of a traceback."""


class SettingError(FramewatchError):
    """A setting or option has a value that cannot be used."""


class SourceError(FramewatchError):
    """A video, folder of pictures, camera or stream address cannot be read."""


class BadRecord(FramewatchError):
    """A Kafka record is not a frame.

    Attributes:
        reason: short machine-readable reason, as put in the rejected record's header, such as ``checksum``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class BadPicture(BadRecord):
    """Bytes that are not the JPEG picture they are said to be."""


class BadBundle(FramewatchError):
    """A folder is not a trained model that can be served."""


class DataError(FramewatchError):
    """Training data that nothing can be learned from, or measured on."""


class CapacityExceeded(FramewatchError):
    """As many as are allowed are watching, listening or downloading already."""


class FrameGone(FramewatchError):
    """Kafka no longer has a frame, or has another record at its offset; the message says which."""


class ServiceError(FramewatchError):
    """An embedded service cannot be prepared, started or kept up."""


class TopicRefused(FramewatchError):
    """Kafka refuses to make a topic, for good: want of rights, a policy, a name that it does not take."""


class StoreRefused(FramewatchError):
    """The store refuses what was asked of it, and will again: no rights, an index made otherwise.

    Told apart from StoreUnavailable, after which the same is tried again.
    """


class Unavailable(FramewatchError):
    """A server does not answer now and may later: worth trying again."""


class BrokerUnavailable(Unavailable):
    """No Kafka broker answers."""


class StoreUnavailable(Unavailable):
    """The store did not take or give what was asked of it."""


class ObjectsUnavailable(Unavailable):
    """The object store did not take or give what was asked of it."""
