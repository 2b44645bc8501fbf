"""What the workers of one run share: a folder, things made once in it, the machine, and a broker with a store.

The first process of a run holds a lock for as long as it lives. A keeper, which runs broker and store, waits for that
lock: the system gives it to the keeper when the run ends, however it ends.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from framewatch.embedded.home import Endpoints, Home
from framewatch.embedded.jars import jar_paths
from framewatch.embedded.kafka import EmbeddedKafka
from framewatch.embedded.store import EmbeddedStore
from framewatch.kafka.topics import broker_answers
from framewatch.ports import accepts, is_free
from framewatch.settings import load_settings

# The variable that names the run's folder to workers and keeper; one of FRAMEWATCH_ would be taken for a setting.
FOLDER = "TEST_RUN_FOLDER"
START_S = 120
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
_FIRST, _PORTS = 10_000 + 2_000 * _WORKER, 2_000
_start = random.randrange(_PORTS)
_ports = itertools.cycle(_FIRST + (_start + k) % _PORTS for k in range(_PORTS))


def free_port() -> int:
    """A port that no other worker picks, and that the system gives to nobody who asks it for any."""
    return next(port for port in _ports if is_free(port))


class Services:
    """A broker and a store that run somewhere, and their home."""

    def __init__(self, home: Home, endpoints: Endpoints) -> None:
        self.home = home
        self.endpoints = endpoints

    def environment(self) -> dict[str, str]:
        """For commands that are to use these services."""
        return {**os.environ, "FRAMEWATCH_HOME": str(self.home.folder)}


class OwnServices(Services):
    """An embedded broker and store that a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        home = Home(folder)
        home.prepare()
        kafka = EmbeddedKafka(home, jar_paths(load_settings().cache), free_port())
        store = EmbeddedStore(home, free_port())
        super().__init__(home, Endpoints(kafka.address, store.uri))
        home.record(self.endpoints)
        self.kafka = kafka.prepare()
        self.kafka.ready = lambda: accepts(kafka.port) and broker_answers(kafka.address)
        self.store = store.prepare()

    def start(self) -> OwnServices:
        for child in (self.store, self.kafka):
            child.start()
        for child in (self.store, self.kafka):
            child.wait_ready()
        return self

    def stop(self) -> None:
        for child in (self.store, self.kafka):
            child.stop()


@contextmanager
def locked(path: Path, shared: bool = False) -> Iterator[None]:
    """Hold a lock, which ends with the process at the latest."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


class Run:
    """One run of the tests, in one process or in many."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder ``name``, made by the first who asks for it; all others wait meanwhile."""
        folder, done = self.folder / name, self.folder / f"{name}.done"
        with locked(self.folder / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of one that failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    @contextmanager
    def turn(self, alone: bool) -> Iterator[None]:
        """The machine: with others who are not to be alone, or without any."""
        with ExitStack() as holding:
            # Who waits to be alone holds the gate, so that nobody starts meanwhile.
            with locked(self.folder / "gate.lock"):
                holding.enter_context(locked(self.folder / "machine.lock", shared=not alone))
            yield

    def services(self) -> Services:
        """The broker and store of the run, started by the first who asks for them."""
        home = Home(self.once("services", self._start) / "home")
        endpoints = home.recorded()
        assert endpoints is not None
        return Services(home, endpoints)

    def _start(self, folder: Path) -> None:
        with (folder / "log").open("w") as log:
            # In a session of its own: it is not for Ctrl-C to end the services before the tests on them.
            command = [sys.executable, __file__, str(folder)]
            done = subprocess.run(
                command, stdout=log, stderr=log, start_new_session=True, timeout=START_S, check=False
            )
        assert done.returncode == 0, (folder / "log").read_text()

    def keep(self, folder: Path) -> None:
        """Run broker and store in this folder until the run has ended."""
        with locked(self.folder / "keeper.lock"):
            services = OwnServices(folder / "home")
            try:
                services.start()
                (folder / "ready").touch()
                with locked(self.folder / "run.lock"):
                    pass
            finally:
                services.stop()
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def new_run() -> Iterator[Run]:
    """A run that begins, of this process and those that it starts; all that is shared is gone afterwards."""
    run = Run(Path(tempfile.mkdtemp(prefix="framewatch-tests-")))
    os.environ[FOLDER] = str(run.folder)
    try:
        with locked(run.folder / "run.lock"):
            yield run
        with suppress(FileNotFoundError), locked(run.folder / "keeper.lock"):  # the keeper takes all with it
            pass
    finally:
        del os.environ[FOLDER]
        shutil.rmtree(run.folder, ignore_errors=True)


def this_run() -> Run:
    """The run that this process takes part in."""
    return Run(Path(os.environ[FOLDER]))


def main(folder: Path) -> None:
    """Leave a keeper behind, and end when its services answer."""
    keeper = os.fork()
    if keeper == 0:
        this_run().keep(folder)
        return
    while not (folder / "ready").exists():
        if os.waitpid(keeper, os.WNOHANG)[0]:
            sys.exit("the keeper ended before its services answered")
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
