"""All of Framewatch as one command: embedded services, consumer and producers started, watched and ended together."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from framewatch.embedded.guard import MARK, Guard
from framewatch.embedded.hold import held
from framewatch.embedded.home import Endpoints, Home, endpoints
from framewatch.embedded.jars import jar_paths
from framewatch.embedded.kafka import EmbeddedKafka
from framewatch.embedded.process import Child, end_left_behind
from framewatch.embedded.store import EmbeddedStore
from framewatch.errors import ServiceError
from framewatch.kafka.topics import broker_answers
from framewatch.model.names import public_source
from framewatch.ports import accepts, check_port
from framewatch.settings import Settings

_log = logging.getLogger(__name__)

_RESTARTS: Final = 5
_RESTARTS_WITHIN_S: Final = 120.0
_FULL_DISK_BYTES: Final = 64 * 1024**2
_STARTING_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """A producer that ``up`` starts.

    Attributes:
        source: as typed.
        stream: name of its stream.
        arguments: options of ``framewatch produce``.
    """

    source: str
    stream: str
    arguments: Sequence[str] = ()


class Stack:
    """The children of one run, in the order of the way of a frame from its end: who is needed first stands first."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._home = Home(settings.home)
        self._children: list[Child] = []
        self._deaths: dict[str, list[float]] = {}
        self._guard = Guard()
        self.endpoints = endpoints(settings)

    def run(self, stop: threading.Event, sources: Sequence[SourcePlan] = (), consumer: bool = False) -> None:
        """Start everything, watch over it until ``stop``, and end it in the right order.

        Raises:
            ServiceError: a part cannot be started or does not stay up.
        """
        self._home.prepare()
        with held(self._home):
            for record in self._home.records():
                end_left_behind(record)
            if consumer:
                check_port(self._settings.host, self._settings.port)
            self._guard.start()
            try:
                self._start(sources, consumer, stop)
                self._watch(stop)
            except ServiceError:
                if not stop.is_set():  # else it was told to end while it started
                    raise
            finally:
                self._end()
                self._guard.dismiss()

    def _start(self, sources: Sequence[SourcePlan], consumer: bool, stop: threading.Event) -> None:
        started = time.monotonic()
        services = self._services()
        self._home.record(self.endpoints)
        # All at once: consumer and producers wait for the services themselves.
        starting = [*services]
        if consumer:
            starting.append(self._consumer())
        starting += [self._producer(k, plan, len(sources)) for k, plan in enumerate(sources)]
        for child in starting:
            self._children.append(child)
            self._run_child(child)
        for child in starting:
            child.wait_ready(stop.is_set)
            self._say(f"{child.name} is up after {time.monotonic() - started:.1f} s")
        self._say(f"Kafka     {self.endpoints.kafka}")
        self._say(f"MongoDB   {self.endpoints.mongodb.rpartition('@')[2]}")
        self._say(f"state     {self._home.folder}")
        for plan in sources:
            self._say(f"stream    {plan.stream}   ({public_source(plan.source)})")
        if consumer:
            host = "127.0.0.1" if self._settings.is_loopback() else self._settings.host
            self._say(f"[bold]pages     http://{host}:{self._settings.port}/[/bold]   (Ctrl-C ends all of it)")
            self._say(f"live      http://{host}:{self._settings.port}/video")

    def _services(self) -> list[Child]:
        """The embedded services that are not replaced by others; also notes where they answer."""
        children: list[Child] = []
        kafka_address, uri = self.endpoints.kafka, self.endpoints.mongodb
        if self._settings.mongodb_uri is None:
            store = EmbeddedStore(self._home)
            children.append(store.prepare())
            uri = store.uri
        if self._settings.kafka_bootstrap_servers is None:
            kafka = EmbeddedKafka(self._home, jar_paths(self._settings.cache, console=self._console))
            child = kafka.prepare()
            child.ready = lambda: accepts(kafka.port) and broker_answers(kafka.address)
            children.append(child)
            kafka_address = kafka.address
        self.endpoints = Endpoints(kafka_address, uri)
        return children

    def _consumer(self) -> Child:
        host, port = self._settings.host, self._settings.port
        return self._child(
            "consumer",
            ["framewatch.consumer", "--quiet"],
            ready=lambda: accepts(port, host),
            stop_s=45,
            instance=self._settings.instance or "framewatch-up",
        )

    def _producer(self, position: int, plan: SourcePlan, of: int) -> Child:
        name = "producer" if of == 1 else f"producer-{position + 1}"
        return self._child(name, ["framewatch.producer", plan.source, *plan.arguments], stop_s=25, stream=plan.stream)

    def _child(
        self,
        name: str,
        module: Sequence[str],
        stop_s: float,
        ready: Callable[[], bool] = lambda: True,
        **changed: object,
    ) -> Child:
        """A part of Framewatch as a process of its own, with our settings save for those changed.

        -P: run our modules, not files of the same name that lie in the current folder.
        """
        environment = self._settings.child_environment(
            home=self._home.folder,
            kafka_bootstrap_servers=self.endpoints.kafka,
            mongodb_uri=self.endpoints.mongodb,
            **changed,
        )
        argv = [sys.executable, "-P", "-m", *module]
        return Child(name, argv, self._home.logs, self._home.pids, ready, _STARTING_S, stop_s, environment)

    def _run_child(self, child: Child) -> None:
        """Start it, so that it ends with us however we end."""
        child.env = {**(child.env or self._settings.child_environment()), MARK: self._guard.mark}
        child.start()
        if child.pid is not None:
            self._guard.add(child.name, child.pid, child.stop_s)

    def _watch(self, stop: threading.Event) -> None:
        """Start again what dies, a few times; a producer that came to its end is done.

        Raises:
            ServiceError: a child died too often.
        """
        done: set[str] = set()
        while not stop.wait(0.2):
            self._guard.keep_up()
            for child in self._children:
                code = child.poll()
                if code is None or child.name in done:
                    continue
                if child.name.startswith("producer") and code >= 0:
                    done.add(child.name)
                    self._say(f"{child.name} came to its end" if code == 0 else child.ended(code))
                    continue
                self._again(child, code, stop)

    def _again(self, child: Child, code: int, stop: threading.Event) -> None:
        line = child.ended(code)
        free = shutil.disk_usage(self._home.folder).free
        if free < _FULL_DISK_BYTES:
            raise ServiceError(f"{line}; the disk of {self._home.folder} is full ({free / 1e6:.0f} MB free)")
        now = time.monotonic()
        deaths = [t for t in self._deaths.get(child.name, []) if now - t < _RESTARTS_WITHIN_S]
        self._deaths[child.name] = [*deaths, now]
        if len(deaths) >= _RESTARTS:
            raise ServiceError(f"{line}; that was {len(deaths) + 1} times in {_RESTARTS_WITHIN_S:.0f} s: giving up")
        self._say(f"[yellow]{line}: starting it again ({len(deaths) + 1} of {_RESTARTS})[/yellow]")
        stop.wait(0.3 * 2 ** len(deaths))
        if not stop.is_set():
            self._run_child(child)

    def _end(self) -> None:
        """Producers first, then the consumer, then what they use."""
        for child in reversed(self._children):
            child.stop()
        if self._children:
            self._say("all ended")

    def _say(self, line: str) -> None:
        try:
            self._console.print(line, highlight=False, soft_wrap=True)
        except (BrokenPipeError, OSError):  # nobody reads any more: not a reason to lose anything
            self._console = Console(file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
