"""Kafka's jars: exactly those of the lock file, each checked against its SHA-256, in a cache shared by all homes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import requests
from filelock import FileLock
from jgo.maven import MavenContext
from rich.console import Console
from rich.progress import track

from framewatch.errors import ServiceError

_log = logging.getLogger(__name__)

_DOWNLOADS: Final = 8
_WAIT_FOR_OTHERS_S: Final = 600


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: Maven coordinates and the file's SHA-256."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.artifact}-{self.version}.jar"


def locked_jars(text: str | None = None) -> list[Jar]:
    """The jars of ``services/kafka.lock``: lines of ``group:artifact:version sha256``."""
    if text is None:
        text = files("framewatch.embedded").joinpath("kafka.lock").read_text()
    lines = (line.replace(":", " ").split() for line in text.splitlines() if line and not line.startswith("#"))
    return [Jar(group, artifact, version, sha256) for group, artifact, version, sha256 in lines]


def jar_paths(cache: Path, jars: Sequence[Jar] | None = None, console: Console | None = None) -> list[Path]:
    """Paths of all jars, downloading those the cache lacks; progress on the console.

    Raises:
        ServiceError: one cannot be had (no network, no room), or is not the file of the lock.
    """
    jars = locked_jars() if jars is None else jars
    folder = cache / "jars"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "jars.lock", timeout=_WAIT_FOR_OTHERS_S):
            missing = [jar for jar in jars if not _is_good(folder, jar)]
            if missing:
                _download(missing, folder, console or Console(stderr=True))
    except OSError as error:
        raise ServiceError(f"{cache} cannot be used as cache: {error.strerror or error}") from None
    return [folder / jar.name for jar in jars]


def _is_good(folder: Path, jar: Jar) -> bool:
    """Whether the file is there and is that of the lock."""
    path = folder / jar.name
    return path.is_file() and _matches(path, jar)


def _matches(path: Path, jar: Jar) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256


def _download(jars: Sequence[Jar], folder: Path, console: Console) -> None:
    part = folder / "part"
    maven = MavenContext(repo_cache=part, local_repos=[], timeout=30)
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        futures = [pool.submit(_fetch, maven, jar, folder) for jar in jars]
        try:
            done = as_completed(futures)
            for future in track(done, "Downloading Kafka (once)", total=len(jars), console=console):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(maven: MavenContext, jar: Jar, folder: Path) -> None:
    """Download one jar, check it, and only then give it its name."""
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    if artifact.cached_path is not None:
        artifact.cached_path.unlink(missing_ok=True)  # what a killed download left is not whole
    try:
        path = artifact.resolve()
    except requests.RequestException as error:
        raise ServiceError(
            f"Kafka cannot be downloaded: {jar.name}: {type(error).__name__}. Is there a network? Else name a Kafka "
            "that runs, by KAFKA_BOOTSTRAP_SERVERS"
        ) from None
    except RuntimeError as error:
        raise ServiceError(f"Kafka cannot be downloaded: {error}") from None
    if not _matches(path, jar):
        path.unlink(missing_ok=True)
        raise ServiceError(f"{jar.name} as downloaded is not the file of the lock (its SHA-256 differs): not used")
    path.replace(folder / jar.name)
