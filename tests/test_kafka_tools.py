"""Kafka's own tools and other clients on our topic."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from conftest import REPOSITORY, SAMPLE, Command, Services
from services.home import Endpoints
from services.jars import jar_paths, locked_jars
from services.kafka import tool_argv, tool_names
from settings import load_settings
from vision.jpeg import decode_img


def run(command: Command, *arguments: object) -> str:
    process = command("kafka", *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def clip(framewatch: Command, topic: str) -> str:
    """A topic with the sample on it."""
    producer = framewatch("produce", SAMPLE, "--fps", "max", "--topic", topic, "--run", "r", "--json")
    out, err = producer.communicate(timeout=60)
    assert json.loads(out)["delivered"] == 420, err
    return topic


def test_topics_are_listed_described_and_deleted(framewatch: Command, clip: str) -> None:
    assert clip in run(framewatch, "topics", "--list").split()
    assert "PartitionCount: 2" in run(framewatch, "topics", "--describe", "--topic", clip)
    run(framewatch, "topics", "--delete", "--topic", clip)
    assert clip not in run(framewatch, "topics", "--list").split()


def test_the_console_consumer_reads_the_topic_from_its_beginning(services: Services, clip: str) -> None:
    script = REPOSITORY / "scripts" / "kafka-console-consumer"
    options = ("--topic", clip, "--from-beginning", "--max-messages", "2", "--timeout-ms", "20000")
    shown = [f"--formatter-property=print.{what}" for what in ("headers=true", "key=true", "value=false")]
    done = subprocess.run(
        [script, *options, *shown],
        env=services.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first, second = done.stdout.splitlines()[:2]
    assert "frame:0," in first and "width:640,height:360" in first and first.endswith("sample")
    assert "frame:1," in second


def test_any_client_gets_a_picture_as_the_value(endpoints: Endpoints, clip: str, tmp_path: Path) -> None:
    # As kcat does with -o -1 -c 1: the value, and nothing but the value, into a file.
    consumer = Consumer({"bootstrap.servers": endpoints.kafka, "group.id": clip, "auto.offset.reset": "earliest"})
    consumer.subscribe([clip])
    message = consumer.poll(20)
    assert message is not None
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
    for tool in tool_names():
        done = subprocess.run(tool_argv(jars, tool, "127.0.0.1:1", ["--help"]), capture_output=True, check=False)
        assert b"ClassNotFoundException" not in done.stderr + done.stdout, tool
