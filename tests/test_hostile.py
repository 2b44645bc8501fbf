"""Hostile requests to a worker as it is run, and the answer that each gets."""

from __future__ import annotations

import base64
import json
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conftest import SAMPLE, Services, wait_for
from framewatch.ports import accepts
from shared import free_port
from test_web import in_process, measured

PASSWORD = "a long password"
KNOWN = "Authorization: Basic " + base64.b64encode(f"framewatch:{PASSWORD}".encode()).decode()
HOST = "Host: localhost"
MAX_UPLOAD = 1_000_000

Request = bytes


class Worker:
    """A worker in a process of its own, and what it says to bytes."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self, client: str = "") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 15, (client, 0))

    def answer(self, request: Request, client: str = "") -> tuple[int, bytes, bytes]:
        """Status, head and body of the first answer; status 0 for a connection that is closed without one."""
        with self.connect(client) as connection:
            try:
                connection.sendall(request)
                return read_answer(connection)
            except ConnectionError:
                return 0, b"", b""

    def get(self, target: str) -> Any:
        status, _, body = self.answer(asked("GET", target))
        assert status in (200, 503), body
        return json.loads(body)

    def seconds(self) -> float:
        started = time.monotonic()
        assert self.answer(asked("GET", "/health"))[0] in (200, 503)
        return time.monotonic() - started

    def said(self, name: str) -> int:
        """A figure of the process as the system gives it: kB, or a count."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def settle(self) -> None:
        """Return when it has been as many threads for a second: some of its own begin after it has answered."""
        known, since_s = 0, time.monotonic()

        def is_steady() -> bool:
            nonlocal known, since_s
            if (threads := self.said("Threads")) != known:
                known, since_s = threads, time.monotonic()
            return time.monotonic() - since_s > 1

        wait_for(is_steady, "all its threads")

    def files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


def read_answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(64 * 1024)):
            return 0, b"", received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(lines.get(b"content-length", b"0"))
    while len(body) < length and (piece := connection.recv(64 * 1024)):
        body += piece
    return int(head[9:12]), head, body


@pytest.fixture(scope="module")
def worker(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    port, log = free_port(), tmp_path_factory.mktemp("worker") / "log"
    options = ("--topic", "hostile", "--group", "hostile", "--database", "hostile", "--quiet", "--port", str(port))
    limits = ("--max-upload-mb", str(MAX_UPLOAD / 1e6), "--max-predictions", "60000")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", "from framewatch.cli import main; main()", "consume", *options, *limits],
            env={**services.environment(), "FRAMEWATCH_PASSWORD": PASSWORD},
            stdout=out,
            stderr=out,
            text=True,
        )
    try:
        wait_for(lambda: accepts(port) or process.poll() is not None, "the web server")
        assert process.poll() is None, log.read_text()
        made = Worker(process, port)
        wait_for(lambda: made.get("/health")["status"] == "healthy", "health")
        yield made
        assert process.poll() is None, log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.terminate()
        process.wait(30)


def asked(method: str, target: str, *lines: str, body: bytes = b"", known: bool = True, host: str = HOST) -> Request:
    """A request written as it is given."""
    head = [f"{method} {target} HTTP/1.1", *([host] if host else []), *([KNOWN] if known else []), *lines]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def form(name: str, data: bytes, file_name: str = "a.jpg", kind: str = "image/jpeg") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\nContent-Type: {kind}'
    return head.encode() + b"\r\n\r\n" + data + b"\r\n--b--\r\n"


FORM = "Content-Type: multipart/form-data; boundary=b"
RAW = "Content-Type: image/jpeg"


# What can be read in two ways: name, bytes, and the status they get. All end the connection.
AMBIGUOUS: list[tuple[str, Request, int]] = [
    ("two lengths", asked("POST", "/predict", RAW, "Content-Length: 3", "Content-Length: 5", body=b"abcde"), 400),
    ("the same length twice", asked("POST", "/predict", RAW, "Content-Length: 3", "Content-Length: 3"), 400),
    ("lengths in a list", asked("POST", "/predict", RAW, "Content-Length: 3, 3", body=b"abc"), 400),
    ("length and chunks", asked("POST", "/predict", RAW, "Content-Length: 3", "Transfer-Encoding: chunked"), 400),
    ("chunks and length", asked("POST", "/predict", RAW, "Transfer-Encoding: chunked", "Content-Length: 3"), 400),
    ("negative length", asked("POST", "/predict", RAW, "Content-Length: -1"), 400),
    ("length with a sign", asked("POST", "/predict", RAW, "Content-Length: +3", body=b"abc"), 400),
    ("length with an underscore", asked("POST", "/predict", RAW, "Content-Length: 1_0"), 400),
    ("length in hex", asked("POST", "/predict", RAW, "Content-Length: 0x3", body=b"abc"), 400),
    ("length of 40 digits", asked("POST", "/predict", RAW, "Content-Length: " + "9" * 40), 400),
    ("empty length", asked("POST", "/predict", RAW, "Content-Length: "), 400),
    ("unknown coding", asked("POST", "/predict", RAW, "Transfer-Encoding: xchunked"), 400),
    ("coding in a list", asked("POST", "/predict", RAW, "Transfer-Encoding: chunked, identity"), 400),
    ("coding with a tab before it", asked("POST", "/predict", RAW, "Transfer-Encoding: \x0bchunked"), 400),
    ("coding twice", asked("POST", "/predict", RAW, *["Transfer-Encoding: chunked"] * 2), 400),
    ("space before the colon", asked("POST", "/predict", RAW, "Content-Length : 3", body=b"abc"), 400),
    ("a folded line", asked("GET", "/health", "X-A: b", " Content-Length: 3"), 400),
    ("a header without a colon", asked("GET", "/health", "Content-Length"), 400),
    ("a NUL in a header", asked("GET", "/health", "X-A: b\0c"), 400),
    ("a carriage return in a header", asked("GET", "/health", "X-A: b\rc"), 400),
    ("a line feed alone", asked("GET", "/health", "X-A: b\nX-B: c"), 400),
    ("chunks in HTTP/1.0", b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("no host", asked("GET", "/health", host=""), 400),
    ("two hosts", asked("GET", "/health", HOST), 400),
    ("two passwords", asked("GET", "/health", KNOWN), 400),
    ("two origins", asked("POST", "/predict", "Origin: http://localhost", "Origin: https://evil.example"), 400),
    ("a small method", asked("get", "/health"), 400),
    ("two spaces", asked("GET ", "/health"), 400),
    ("HTTP/0.9", b"GET /health\r\n\r\n", 400),
    ("no protocol", b"GET / EVIL/1.1\r\nHost: localhost\r\n\r\n", 400),
    ("an address of another host", asked("GET", "http://evil.example/health"), 400),
]  # fmt: skip

HEADS: list[tuple[str, Request, int]] = [
    *AMBIGUOUS,
    ("101 headers", asked("GET", "/health", *(f"X-{n}: a" for n in range(101))), 400),
    ("70 kB of headers", asked("GET", "/health", *(f"X-{n}: {'a' * 10_000}" for n in range(7))), 413),
    ("an address of 70 kB", asked("GET", "/" + "a" * 70_000), 414),
    ("an address of 60 kB", asked("GET", "/" + "a" * 60_000), 404),
    ("a query of 60 kB", asked("GET", "/health?" + "a" * 60_000), 200),
    ("a tunnel", asked("CONNECT", "evil.example:443"), 405),
    ("no method of HTTP", asked("EVIL", "/health"), 405),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n\r\n", 400),
    ("zeros", b"\0" * 1000 + b"\r\n\r\n", 400),
    ("an underscore for a hyphen", asked("POST", "/predict", RAW, "Content_Length: 5"), 400),
    ("another name", asked("GET", "/health", host="Host: evil.example"), 403),
    ("another name with our port", asked("GET", "/health", host="Host: localhost.evil.example:5000"), 403),
    ("a user in the host", asked("GET", "/health", host="Host: localhost@evil.example"), 400),
    ("a path in the host", asked("GET", "/health", host="Host: localhost/../evil"), 400),
    ("an empty host", asked("GET", "/health", host="Host: "), 400),
    ("a name from a proxy that is none", asked("GET", "/health", "X-Forwarded-Host: evil.example"), 200),
    ("another method by header", asked("GET", "/health", "X-HTTP-Method-Override: DELETE"), 200),
    ("another address by header", asked("GET", "/health", "X-Original-URL: /predict"), 200),
    ("another address of the client", asked("GET", "/health", "X-Forwarded-For: 127.0.0.1", known=False), 401),
    ("an upgrade", asked("GET", "/health", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), 200),
    ("a thousand ranges", asked("GET", "/favicon.ico", "Range: bytes=" + ",".join(["0-"] * 1000)), 416),
    ("a cookie of 40 kB", asked("GET", "/health", "Cookie: " + "a=b;" * 10_000), 200),
    ("a password of 40 kB", asked("GET", "/health", "Authorization: Basic " + "YTpi" * 10_000, known=False), 401),
    ("a trace", asked("TRACE", "/health"), 405),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])
def test_a_hostile_head(worker: Worker, request_: Request, status: int) -> None:
    got, head, body = worker.answer(request_)
    assert got == status, body
    if got >= 400:
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == got
        assert b"x-content-type-options: nosniff" in head.lower()


def test_what_follows_a_refused_head_is_no_request(worker: Worker) -> None:
    inner = asked("GET", "/health")
    for name, request, _ in AMBIGUOUS:
        with worker.connect() as connection:
            connection.sendall(request + inner)
            received = b""
            try:
                while piece := connection.recv(64 * 1024):
                    received += piece
            except ConnectionError:
                pass
        assert len(re.findall(rb"HTTP/1\.1 \d{3} ", received)) <= 1, name


def chunks(*sizes: bytes) -> Request:
    return asked("POST", "/predict", RAW, "Transfer-Encoding: chunked") + b"".join(sizes)


BODIES: list[tuple[str, Request, set[int]]] = [
    ("longer than allowed, by its length", asked("POST", "/predict", RAW, "Content-Length: 999999999999"), {413}),
    ("longer than allowed, in chunks", chunks(*[b"10000\r\n" + b"a" * 65536 + b"\r\n"] * 30), {413}),
    ("a chunk of no size", chunks(b"zz\r\n"), {400}),
    ("a chunk of all there is", chunks(b"ffffffffffffffff\r\n" + b"a" * 2_000_000), {413}),
    ("a chunk that ends too late", chunks(b"1\r\nabc\r\n0\r\n\r\n"), {400}),
    ("a chunk of negative size", chunks(b"-5\r\nabc\r\n"), {400}),
    ("less than its length", asked("POST", "/predict", RAW, "Content-Length: 3", body=b"abcdefgh"), {400}),
    ("a body for a page that takes none", asked("GET", "/health", body=b"a" * 1000), {200}),
    ("a huge body for a page that takes none", asked("GET", "/health", "Content-Length: 99999999999"), {200, 413}),
    ("JSON", asked("POST", "/predict", "Content-Type: application/json", body=b'{"$gt": ""}'), {415}),
    ("XML", asked("POST", "/predict", "Content-Type: text/xml", body=b'<!DOCTYPE a SYSTEM "file:///etc/passwd">'),
     {415}),
    ("a form without a boundary", asked("POST", "/predict", "Content-Type: multipart/form-data", body=b"a"), {400}),
    ("a form that does not end", asked("POST", "/predict", FORM, body=form("file", b"a")[:-10]), {400}),
    ("a thousand parts", asked("POST", "/predict", FORM, body=form("file", b"a")[:-8] * 1000), {400, 413}),
    ("a file name that is a path", asked("POST", "/predict", FORM, body=form("file", b"a", "../../etc/a")), {400}),
    ("a field that is an operator", asked("POST", "/predict", FORM, body=form("$ne", b"a")), {400}),
    ("a compressed body", asked("POST", "/predict", RAW, "Content-Encoding: gzip", body=b"\x1f\x8b\x08" + b"a" * 99),
     {400, 415}),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "statuses"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_a_hostile_body(worker: Worker, request_: Request, statuses: set[int]) -> None:
    got, _, body = worker.answer(request_)
    assert got in statuses, body


def png(width: int, height: int, *more: tuple[bytes, bytes], data: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *more, (b"IDAT", data or zlib.compress(bytes(10))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def jpeg(width: int, height: int) -> bytes:
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    return b"\xff\xd8" + frame + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00" + bytes(50) + b"\xff\xd9"


def webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def zeros(megabytes: int) -> bytes:
    """So many zeros, compressed: one million, and over again, which takes no time."""
    deflate = zlib.compressobj(wbits=-15)
    million = deflate.compress(bytes(1_000_000)) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = megabytes * 1_000_000 % 65521 << 16 | 1
    return b"\x78\x9c" + million * megabytes + zlib.compressobj(wbits=-15).flush() + checksum.to_bytes(4)


BOMB = zeros(400)
UNPACKS = "a PNG of 100 x 100 pixels that would unpack to 400 MB"
PICTURES: dict[str, bytes] = {
    "a PNG of 4 gigapixels": png(65_535, 65_535),
    "a PNG of 2^62 pixels": png(2**31 - 1, 2**31 - 1),
    UNPACKS: png(100, 100, data=BOMB),
    "a PNG with a text of 400 MB": png(10, 10, (b"zTXt", b"a\0\0" + BOMB)),
    "a PNG with a profile of 400 MB": png(10, 10, (b"iCCP", b"a\0\0" + BOMB)),
    "a PNG without a pixel": png(0, 0),
    "a JPEG of 4 gigapixels": jpeg(65_535, 65_535),
    "a JPEG without a line": jpeg(100, 0),
    "a WebP of 268 gigapixels": webp(2**24, 2**14),
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a page": b"<html><script>alert(1)</script></html>",
    "a GIF that is a script": b"GIF89a/*" + bytes(30) + b"*/=alert(1);",
    "a PDF": b"%PDF-1.7\n1 0 obj <</OpenAction <</S /JavaScript>>>>",
    "a ZIP": b"PK\x03\x04" + bytes(100),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) (r) file\n",
    "drawing commands": b"push graphic-context\nfill 'url(https://evil.example/a\"|ls \"-la)'\npop graphic-context",
    "a TIFF": b"II*\x00\x08\x00\x00\x00" + bytes(100),
    "a playlist": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "a session description": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 169.254.169.254\nm=video 80 RTP/AVP 96\n",
    "a film list of addresses": b'<?xml version="1.0"?><MPD><BaseURL>http://169.254.169.254/</BaseURL></MPD>',
    "a pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "an Egg of HDF5": b"\x89HDF\r\n\x1a\n" + bytes(500),
    "a JPEG's start and a playlist": b"\xff\xd8\xff\xe0#EXTM3U\nfile:///etc/passwd\n",
    "an empty MP4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "an MP4 that names another file": b"\x00\x00\x00\x14ftypqt  \0\0\0\0qt  \x00\x00\x00\x30moov\x00\x00\x00\x28rmra"
    b"\x00\x00\x00\x20rmdardrf\0\0\0\0url file:///etc/passwd",
    "noise": bytes(range(256)) * 20,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_picture_to_be_looked_at(worker: Worker, name: str) -> None:
    data = PICTURES[name]
    assert len(data) < MAX_UPLOAD
    for lines, sent in ((FORM, form("file", data)), (RAW, data)):
        started = time.monotonic()
        status, _, body = worker.answer(asked("POST", "/predict", lines, body=sent))
        assert status == (200 if name == UNPACKS else 400), body
        assert time.monotonic() - started < 10
    assert worker.said("VmHWM") < 1_500_000  # kB at most, ever


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_file_to_be_kept(worker: Worker, name: str) -> None:
    client = f"127.0.2.{2 + [*PICTURES].index(name)}"  # each has a rate of its own
    status, _, body = worker.answer(asked("POST", "/uploads", FORM, body=form("file", PICTURES[name])), client)
    assert b"root:" not in body
    if status != 202:
        assert status == 415, body
        return
    # What it is shows only when it is read: by a process of its own, which can do no harm to others.
    address = json.loads(body)["url"]
    wait_for(lambda: worker.get(address)["state"] in ("failed", "done"), "its end", 60)
    upload = worker.get(address)
    assert (upload["state"], upload["sent"]) == (("done", 1) if name == UNPACKS else ("failed", 0)), upload
    assert upload["error"] or name == UNPACKS
    assert worker.answer(asked("DELETE", address))[0] == 200
    assert worker.answer(asked("GET", address))[0] == 404


def test_files_that_are_pictures_and_something_else_are_pictures_only(worker: Worker) -> None:
    sound = sample_jpeg()
    for more in (b"<script>alert(1)</script>", b"PK\x03\x04" + bytes(50), b"#EXTM3U\nfile:///etc/passwd\n"):
        status, head, body = worker.answer(asked("POST", "/predict", RAW, body=sound + more))
        assert status == 200
        assert b"content-type: application/json" in head.lower()
        assert b"nosniff" in head
        assert b"script" not in body


def sample_jpeg() -> bytes:
    import cv2  # noqa: PLC0415

    frame = cv2.VideoCapture(str(SAMPLE)).read()[1]
    return bytes(cv2.imencode(".jpg", frame)[1])


TRICKS = [
    "..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "../../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cwindows%5cwin.ini", "..\\..\\etc", "%252e%252e%252fetc%252fpasswd", "%c0%ae%c0%ae%c0%afetc",
    "....%2f%2f....%2f%2fetc", "%00", "a%00.jpg", "%2fetc%2fpasswd", "//etc/passwd", "file:%2f%2f%2fetc%2fpasswd",
    "C:%5cwindows", ".git%2fconfig", "~root", "%ff%fe", "%ed%a0%80", "%0d%0aX-Evil:%201", "%0aX-Evil:%201",
    "a" * 9000,
    "%24ne", "%7b%22%24ne%22:1%7d", "%5b%5d", "'%20OR%20'1'='1", "1;DROP", "%3cscript%3ealert(1)%3c%2fscript%3e",
    "%7b%7b7*7%7d%7d", "$%7bjndi:ldap:%2f%2fevil.example%7d", "%25s%25n", "%e2%80%ae", "%f0%9f%92%a5", "-1", "1e400",
    "NaN", "99999999999999999999", "0x10", "%", "%zz", "*", "null", "constructor", "__proto__",
]  # fmt: skip


def test_no_trick_in_a_path_leads_anywhere(worker: Worker) -> None:
    document = worker.get("/openapi.json")["paths"]
    templates = [(method, path) for path, methods in document.items() if "{" in path for method in methods]
    templates += [("get", "/{page}"), ("get", "/static/{name}"), ("get", "/docs/{name}")]
    assert ("get", "/snapshot/{stream}.jpg") in templates
    for number, (method, path) in enumerate(templates):
        names = [part.partition("}")[0] for part in path.split("{")[1:]]
        for name in names:
            # The addresses of an event and its pictures are three with the same five parts: a third for each.
            for trick in TRICKS if len(names) < 5 else TRICKS[number % 3 :: 3]:
                values = dict.fromkeys(names, "1") | {name: trick}
                target = path.format_map(values)
                status, head, body = worker.answer(asked(method.upper(), target))
                # A stream may have any name, and may begin at any time: its live picture waits for it.
                allowed = {200, 400, 404, 422} if path == "/video/{stream}" else {400, 404, 422}
                allowed |= {308, 405} if trick.startswith(("/", "..")) else set()
                assert status in allowed, (method, target, status, body)
                assert b"x-evil:" not in head.lower()
                assert b"root:" not in body
    wait_for(lambda: worker.get("/health")["viewers"] == 0, "the places given back")


VALUES = [
    "", "%24ne", "{%22%24gt%22:%22%22}", "[1]", "[]", "{}", "null", "undefined", "true", "NaN", "nan", "inf", "-inf",
    "Infinity", "1e400", "-1e400", "1e-400", "-1", "-0", "0", "1.5", "0x10", "1_000", "%d9%a1", "1" * 400,
    "a" * 20_000,
    "%00", "%ff", "%ed%a0%80", "%0d%0aX-Evil:%201", "%1b[31m", "%e2%80%ae", "'", "%22", "2026-99-99",
    "9999-12-31T23:59",
    "0000-00-00", "-5m", "99999999999999d", "1e9d", "..%2f..%2fetc%2fpasswd", "<script>", "{{7*7}}", "$(id)", "`id`",
]  # fmt: skip


def test_no_value_of_a_parameter_is_taken_for_what_it_is_not(worker: Worker) -> None:
    document = worker.get("/openapi.json")["paths"]
    asked_by_query = [
        (path, parameter["name"], parameter["schema"])
        for path, methods in document.items()
        for parameter in methods.get("get", {}).get("parameters", ())
        if parameter["in"] == "query" and "{" not in path and path != "/events/live"
    ]
    for path, name, schema in asked_by_query:
        for value in VALUES:
            status, head, body = worker.answer(asked("GET", f"{path}?{name}={value}"))
            assert status in (200, 400, 422), (path, name, value, body)
            assert b"x-evil:" not in head.lower()
        for query in (f"{name}[$ne]=1", f"{name}[]=1", f"{name}.$gt=", f"$where=1&{name}=1", f"{name}=1&{name}=2"):
            assert worker.answer(asked("GET", f"{path}?{query}"))[0] == 422, (path, query)
        if schema.get("type") in {"integer", "number"}:
            for value in ("NaN", "inf", "1e400", "null", "[1]", "{}", "", "-1", "%24ne", "%00"):
                assert worker.answer(asked("GET", f"{path}?{name}={value}"))[0] == 422, (path, name, value)


def test_everything_is_as_before_after_all_that(worker: Worker) -> None:
    assert worker.get("/health")["status"] == "healthy"
    # The best of three: the machine may be busy for a moment.
    assert min(statistics.median(worker.seconds() for _ in range(20)) for _ in range(3)) < 0.1


class Held(NamedTuple):
    """Whether all connections were open at once, and what all others got meanwhile."""

    all_there: bool
    opening_s: list[float]  # of answers while they came
    held_s: list[float]  # of answers while they were there

    def is_good(self) -> bool:
        """Whether all were there and nobody else waited."""
        quick = statistics.median(self.held_s) < 0.1 and max(self.held_s) < 1 and max(self.opening_s) < 1
        return self.all_there and quick


@pytest.mark.parametrize(
    "connections",
    [pytest.param(2000, marks=pytest.mark.alone), pytest.param(10_000, marks=[pytest.mark.alone, pytest.mark.speed])],
)
def test_thousands_of_connections_held_open_stop_nobody(worker: Worker, connections: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= 11_000, f"this needs 11,000 open files; {hard} are allowed"
    worker.settle()
    measured(partial(measure_held, worker, connections), Held.is_good)


def measure_held(worker: Worker, connections: int) -> Held:
    before = {name: worker.said(name) for name in ("VmRSS", "Threads")}
    with in_process("hold", worker.port, connections) as holder:
        opening_s: list[float] = []
        most = 0
        while most < connections and holder.poll() is None and not (opening_s and sum(opening_s) > 60):
            opening_s.append(worker.seconds())
            most = max(most, worker.files())
            time.sleep(0.05)
        held_s = [worker.seconds() for _ in range(20)]
        held = {name: worker.said(name) for name in before}
        print(f"connections open at once: {most}; memory {before['VmRSS']} to {held['VmRSS']} kB")
        median_ms, slowest_ms, opening_ms = (
            1000 * f for f in (statistics.median(held_s), max(held_s), max(opening_s))
        )
        print(f"/health: median {median_ms:.0f} ms, slowest {slowest_ms:.0f} ms; {opening_ms:.0f} ms while they came")
        assert held["VmRSS"] - before["VmRSS"] < 100_000
        assert held["Threads"] <= before["Threads"]
        holder.communicate("end\n")
    wait_for(lambda: worker.files() < 1000, "the end of these connections")
    return Held(most >= connections, opening_s, held_s)
