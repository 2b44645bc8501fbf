"""A run's home: the folder of all its state, used by one set of services at a time (``hold``)."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from framewatch.errors import ServiceError
from framewatch.settings import Settings

_NEEDED_BYTES: Final = 1024**3
_KAFKA_DEFAULT: Final = "127.0.0.1:9092"
_STORE_DEFAULT: Final = "mongodb://127.0.0.1:27017"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Kafka and the store answer.

    Attributes:
        kafka: ``host:port[,host:port…]``.
        mongodb: a MongoDB address.
    """

    kafka: str
    mongodb: str


class Home:
    """Paths inside a home folder, and the addresses of the services that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.logs = self.folder / "logs"
        self.pids = self.folder / "pids"
        self.kafka = self.folder / "kafka"
        self.store = self.folder / "store"
        self.uploads = self.folder / "uploads"
        self._endpoints = self.folder / "services.json"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            ServiceError: they cannot be made, or the disk is nearly full.
        """
        try:
            for folder in (self.folder, self.logs, self.pids, self.kafka, self.store):
                folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise ServiceError(
                f"{self.folder} cannot be used as home: {error.strerror}; name another by --home"
            ) from None
        if free < _NEEDED_BYTES:
            raise ServiceError(
                f"the disk of {self.folder} is nearly full: {free / 1e6:.0f} MB free, "
                f"{_NEEDED_BYTES / 1e6:.0f} MB needed; free some or name another home by --home"
            )

    def records(self) -> list[Path]:
        """Records of the processes started here, in the order in which they are to be ended."""
        order = ("producer", "consumer", "store", "kafka")
        return sorted(self.pids.glob("*.json"), key=lambda path: order.index(path.stem.partition("-")[0]))

    def record(self, endpoints: Endpoints) -> None:
        """Note where the services answer, for commands started elsewhere with the same home."""
        part = self._endpoints.with_suffix(".part")
        part.write_text(json.dumps(asdict(endpoints)))
        part.replace(self._endpoints)

    def recorded(self) -> Endpoints | None:
        """Where the services answer, or did when they last ran."""
        try:
            noted = json.loads(self._endpoints.read_text())
            return Endpoints(str(noted["kafka"]), str(noted["mongodb"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def endpoints(settings: Settings) -> Endpoints:
    """Where Kafka and the store are: as set, else the services of this home, else the usual ports."""
    noted = Home(settings.home).recorded() or Endpoints(_KAFKA_DEFAULT, _STORE_DEFAULT)
    uri = settings.mongodb_uri
    return Endpoints(
        kafka=settings.kafka_bootstrap_servers or noted.kafka,
        mongodb=uri.get_secret_value() if uri else noted.mongodb,
    )
