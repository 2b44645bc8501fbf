"""An object store that speaks S3 over HTTP: moto's server in a process of its own, and a gate on the way to it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from framewatch.objects.base import Access
from shared import free_port

KEY, SECRET = "test-key", "test-secret-not-to-be-shown"


@dataclass
class ObjectStore:
    """An object store, what is in it, and how a program is told of it.

    Attributes:
        endpoint: its address, ``http://127.0.0.1:PORT``.
        client: boto3's, to put objects in and look at them.
        process: its id.
    """

    endpoint: str
    client: Any = field(repr=False)
    process: int = 0

    @property
    def access(self) -> Access:
        return Access(self.endpoint, KEY, SECRET, region="us-east-1")

    @property
    def environment(self) -> dict[str, str]:
        """Variables for a command that is to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, objects: Mapping[str, bytes] | None = None) -> str:
        """A new bucket with these objects; its name."""
        name = f"lake-{secrets.token_hex(4)}"
        self.client.create_bucket(Bucket=name)
        self.put(name, objects or {})
        return name

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        def put(key: str) -> None:
            self.client.put_object(Bucket=bucket, Key=key, Body=objects[key])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, objects))

    def get(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        return [entry["Key"] for entry in self.listed(bucket, prefix)]

    def stamps(self, bucket: str, prefix: str = "") -> dict[str, tuple[str, str]]:
        """Last change and content hash of each object: of a bucket with versions, one written twice has two."""
        versions = self.client.list_object_versions(Bucket=bucket, Prefix=prefix).get("Versions", [])
        return {f"{v['Key']} {v['VersionId']}": (str(v["LastModified"]), v["ETag"]) for v in versions}

    def listed(self, bucket: str, prefix: str = "") -> list[Mapping[str, Any]]:
        return list(self.client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []))

    def keep_versions(self, bucket: str) -> None:
        """From now on nothing is overwritten."""
        self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Meanwhile it takes connections and says nothing."""
        os.kill(self.process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process, signal.SIGCONT)

    @contextmanager
    def checking_keys(self) -> Iterator[None]:
        """Meanwhile no key is right, as nobody has made a user."""
        try:
            self._check_after("0")
            yield
        finally:
            self._check_after("inf")

    def _check_after(self, requests: str) -> None:
        headers = {"Content-Type": "text/plain"}
        asked = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", requests.encode(), headers)
        with urllib.request.urlopen(asked, timeout=60):
            pass


# It says which port it got: one chosen for it could be somebody else's by the time it listens.
_SERVER = """
import threading
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
threading.Event().wait()
"""


@pytest.fixture(scope="session")
def s3() -> Iterator[ObjectStore]:
    """One object store for the whole run; each test makes buckets of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        port = said.readline().strip()
    assert port, "moto's server did not start"
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    try:
        yield ObjectStore(endpoint, client, process.pid)
    finally:
        client.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Gate:
    """The way to an object store, which can be shut and opened: the store is away for whoever goes through it."""

    def __init__(self, store: ObjectStore) -> None:
        self._behind = ("127.0.0.1", int(store.endpoint.rpartition(":")[2]))
        self._port = free_port()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self.store = ObjectStore(f"http://127.0.0.1:{self._port}", store.client, store.process)

    def open(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._take, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections, and break those there are: also one that is being made just now."""
        with self._lock:
            ended = [*self._connections, *([self._listener] if self._listener else [])]
            self._listener, self._connections = None, []
        _end(*ended)

    def _take(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                self._join(listener.accept()[0], listener)

    def _join(self, near: socket.socket, listener: socket.socket) -> None:
        try:
            far = socket.create_connection(self._behind)
        except OSError:
            _end(near)
            return
        with self._lock:
            if self._listener is not listener:  # shut meanwhile
                _end(near, far)
                return
            self._connections += [near, far]
        for pair in ((near, far), (far, near)):
            threading.Thread(target=_hand_on, args=pair, daemon=True).start()


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def _hand_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while content := one.recv(65536):
            other.sendall(content)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(s3: ObjectStore) -> Iterator[Gate]:
    """A way to the object store, open."""
    gate = Gate(s3)
    gate.open()
    yield gate
    gate.shut()
