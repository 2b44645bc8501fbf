"""One real broker and one real store for the whole run; each test has topics and databases of its own.

A run may have many workers (pytest-xdist): what they share is in ``shared``.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pymongo.database import Database
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling

from bundles import bundles
from framewatch.cli import main
from framewatch.embedded.home import Endpoints
from framewatch.kafka.topics import ensure_topic
from framewatch.storage.mongo.client import connect
from framewatch.storage.mongo.documents import Document
from framewatch.storage.mongo.events import EventStore
from many import many, thousands
from s3 import gate, s3
from shared import FOLDER, OwnServices, Run, Services, locked, new_run, this_run

# Of other modules, for the tests: fixtures and types.
__all__ = ["OwnServices", "Services", "bundles", "gate", "many", "s3", "thousands"]

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "videos" / "sample.mp4"
# Under another name from now on: the programs that the tests start would take FRAMEWATCH_TEST_DATA for a setting.
os.environ["TEST_DATA"] = os.environ.pop("FRAMEWATCH_TEST_DATA", "") or os.environ.get("TEST_DATA", "")
DATA = Path(os.environ["TEST_DATA"] or REPOSITORY.parent / "shared" / "data")
LOADED = pytest.StashKey[frozenset[str]]()
# The order in which files are handed out: two of short tests, beside which the first group need not wait long to be
# alone; then what takes longest; then all others.
FIRST = (
    "test_hostile", "test_predict",
    "test_nothing_lost", "test_train", "test_architectures", "test_uploads", "test_produce", "test_dashboard",
    "test_results", "test_up", "test_dashboard_looks", "test_browser", "test_broker_health", "test_live",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Begin a run, unless this process is a worker of one."""
    if FOLDER not in os.environ:
        # The hundreds of programs that the tests start would compile all of our sources anew, each of them.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        beginning = ExitStack()
        beginning.enter_context(new_run())
        config.add_cleanup(beginning.close)
    config.pluginmanager.register(Turns(this_run()))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what is to run alone, then what takes longest."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: (not is_alone(item), places.get(item.path.stem, len(places))))
    for item in items:
        if is_alone(item):
            item.add_marker(pytest.mark.xdist_group("alone"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let one worker compile the files of tests for all, which takes it three times as long as reading them."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    run = this_run()
    with locked(run.folder / "compiling.lock"):
        if not (run.folder / "compiled").exists():
            result = yield
            (run.folder / "compiled").touch()
            return result
    return (yield)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what was loaded to read the files of tests, for the test of it."""
    session.config.stash[LOADED] = frozenset(sys.modules)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling:
    """Give each worker whole files: a file's tests share what it sets up."""
    return ByFile(config, log)


class ByFile(LoadGroupScheduling):
    """Hands out groups, and files of what is in none."""

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if group == nodeid else group


def is_alone(item: pytest.Item) -> bool:
    """Whether no other test may run beside this one: it holds the machine to bounds of time."""
    return item.get_closest_marker("alone") is not None


class Turns:
    """Lets tests that are to be alone run while the other workers wait between two of theirs."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._turn: ExitStack | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Take a turn; those that are alone take one together."""
        if self._turn is None:
            self._turn = ExitStack()
            self._turn.enter_context(self._run.turn(is_alone(item)))
        try:
            return (yield)
        finally:
            if not (is_alone(item) and nextitem is not None and is_alone(nextitem)):
                self._turn.close()
                self._turn = None


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real clips and labelled faces, which are not part of the repository."""
    if not DATA.is_dir():
        pytest.skip(f"no test data at {DATA}: name its folder by FRAMEWATCH_TEST_DATA")
    return DATA


@pytest.fixture(scope="session")
def services() -> Services:
    """The broker and store of the whole run, for all tests that do not stop them."""
    return this_run().services()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServices]:
    """A broker and store of the module's own, which its tests may kill."""
    services = OwnServices(tmp_path_factory.mktemp("own"))
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
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Call:
    """Runs a command here; its exit code, output and errors, with what is logged and what libraries write."""
    monkeypatch.setenv("FRAMEWATCH_HOME", str(services.home.folder))
    caplog.set_level(logging.INFO)

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        caplog.clear()
        with pytest.raises(SystemExit) as ending:
            main([*map(str, arguments)])
        assert isinstance(ending.value.code, int)
        out, err = capfd.readouterr()
        return ending.value.code, out, caplog.text + err

    return call


def wait_for(true: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Return when it is true; fail, naming it, when that takes too long."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"{what} not within {timeout_s} s"
        time.sleep(0.05)
