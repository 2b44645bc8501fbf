"""One real broker and one real store for the whole run; each test has topics and databases of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymongo.database import Database

from bundles import bundles  # noqa: F401 - a fixture of every test
from framewatch.embedded.home import Endpoints, Home
from framewatch.embedded.jars import jar_paths
from framewatch.embedded.kafka import EmbeddedKafka
from framewatch.embedded.store import EmbeddedStore
from framewatch.kafka.topics import broker_answers, ensure_topic
from framewatch.ports import accepts, choose_port
from framewatch.settings import load_settings
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.events import EventStore
from many import many  # noqa: F401 - a fixture of every test
from s3 import gate, s3  # noqa: F401 - fixtures of every test

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "videos" / "sample.mp4"
DATA = Path(os.environ.get("FRAMEWATCH_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real clips and labelled faces, which are not part of the repository."""
    if not DATA.is_dir():
        pytest.skip(f"no test data at {DATA}: name its folder by FRAMEWATCH_TEST_DATA")
    return DATA


class Services:
    """An embedded broker and store that a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.prepare()
        kafka = EmbeddedKafka(self.home, jar_paths(load_settings().cache), choose_port())
        store = EmbeddedStore(self.home, choose_port())
        self.endpoints = Endpoints(kafka.address, store.uri)
        self.home.record(self.endpoints)
        self.kafka = kafka.prepare()
        self.kafka.ready = lambda: accepts(kafka.port) and broker_answers(kafka.address)
        self.store = store.prepare()

    def start(self) -> Services:
        for child in (self.store, self.kafka):
            child.start()
        for child in (self.store, self.kafka):
            child.wait_ready()
        return self

    def stop(self) -> None:
        for child in (self.store, self.kafka):
            child.stop()

    def environment(self) -> dict[str, str]:
        """For commands that are to use these services."""
        return {**os.environ, "FRAMEWATCH_HOME": str(self.home.folder)}


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The broker and store shared by all tests that do not kill them."""
    services = Services(tmp_path_factory.mktemp("home"))
    try:
        yield services.start()
    finally:
        services.stop()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A broker and store of the module's own, which its tests may kill."""
    services = Services(tmp_path_factory.mktemp("own"))
    try:
        yield services.start()
    finally:
        services.stop()


@pytest.fixture(scope="session")
def endpoints(services: Services) -> Endpoints:
    return services.endpoints


@pytest.fixture
def topic(endpoints: Endpoints) -> str:
    """A topic of the test's own, with two partitions."""
    name = f"frames-{secrets.token_hex(4)}"
    ensure_topic(endpoints.kafka, name, 2, 1, {})
    return name


@pytest.fixture
def database_name() -> str:
    return f"test_{secrets.token_hex(4)}"


@pytest.fixture
def database(endpoints: Endpoints, database_name: str) -> Iterator[Database[Document]]:
    """A database of the test's own."""
    with connect(endpoints.mongodb) as client:
        yield client[database_name]
        client.drop_database(database_name)


@pytest.fixture
def store(database: Database[Document]) -> EventStore:
    """An event store on the test's own database, ready to be written to."""
    made = EventStore(database)
    made.setup()
    return made


@pytest.fixture
def framewatch(services: Services) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``framewatch ARGUMENTS`` against the shared services; what still runs at the end is ended."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from framewatch.cli import main; main()", *map(str, arguments)],
            env={**services.environment(), **environment},
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


Command = Callable[..., subprocess.Popen[str]]


def wait_for(true: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Return when it is true; fail, naming it, when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"{what} not within {timeout_s} s"
        time.sleep(0.05)
