"""Kafka's own tools and other clients on our topic."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from conftest import REPOSITORY, SAMPLE, Command, Services, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.embedded.jars import jar_paths, locked_jars
from framewatch.embedded.kafka import tool_argv, tool_names
from framewatch.kafka.topics import ensure_topic
from framewatch.settings import load_settings
from framewatch.vision.jpeg import decode_img


def run(command: Command, *arguments: object) -> str:
    process = command("kafka", *arguments)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


@pytest.fixture(scope="module")
def clip(services: Services) -> str:
    """A topic with the sample on it, for tests that read it."""
    topic = f"clip-{secrets.token_hex(4)}"
    ensure_topic(services.endpoints.kafka, topic, 2, 1, {})
    done = subprocess.run(
        [sys.executable, "-m", "framewatch.producer", SAMPLE, "--fps", "max", "--topic", topic, "--run", "r",
         "--json"],
        env=services.environment(), cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["delivered"] == 420, done.stderr
    return topic


def test_topics_are_listed_described_and_deleted(framewatch: Command, endpoints: Endpoints, topic: str) -> None:
    described = framewatch("kafka", "topics", "--describe", "--topic", topic)
    assert topic in run(framewatch, "topics", "--list").split()
    out, err = described.communicate(timeout=240)
    assert "PartitionCount: 2" in out, err
    run(framewatch, "topics", "--delete", "--topic", topic)
    admin = AdminClient({"bootstrap.servers": endpoints.kafka})
    wait_for(lambda: topic not in admin.list_topics(timeout=20).topics, "the end of the topic", 30)


def test_the_console_consumer_reads_the_topic_from_its_beginning(services: Services, clip: str) -> None:
    script = REPOSITORY / "scripts" / "kafka-console-consumer"
    options = ("--topic", clip, "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000")
    shown = [f"--formatter-property=print.{what}" for what in ("headers=true", "key=true", "value=false")]
    done = subprocess.run(
        [script, *options, *shown],
        env=services.environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    first, second = done.stdout.splitlines()[:2]
    assert "frame:0," in first and "width:640,height:360" in first and first.endswith("sample")
    assert "frame:1," in second


def test_any_client_gets_a_picture_as_the_value(endpoints: Endpoints, clip: str, tmp_path: Path) -> None:
    # As kcat does with -o -1 -c 1: the value, and nothing but the value, into a file.
    consumer = Consumer({"bootstrap.servers": endpoints.kafka, "group.id": clip, "auto.offset.reset": "earliest"})
    consumer.subscribe([clip])
    message = consumer.poll(60)
    assert message is not None and message.error() is None
    (tmp_path / "frame.jpg").write_bytes(message.value() or b"")
    consumer.close()
    assert decode_img((tmp_path / "frame.jpg").read_bytes()).shape == (360, 640, 3)


def test_the_brokers_address_is_added_unless_given() -> None:
    jars = jar_paths(load_settings().cache)
    assert tool_argv(jars, "topics", "a:1", ["--list"])[-3:] == ["--bootstrap-server", "a:1", "--list"]
    assert "a:1" not in tool_argv(jars, "topics", "a:1", ["--list", "--bootstrap-server", "b:2"])


def test_every_tool_named_is_among_the_jars() -> None:
    jars = jar_paths(load_settings().cache)
    assert len(jars) == len(locked_jars())

    def said(tool: str) -> bytes:
        done = subprocess.run(tool_argv(jars, tool, "127.0.0.1:1", ["--help"]), capture_output=True, check=False)
        return done.stderr + done.stdout

    with ThreadPoolExecutor(4) as pool:
        for tool, text in zip(tool_names(), pool.map(said, tool_names()), strict=True):
            assert text and b"ClassNotFoundException" not in text, tool
