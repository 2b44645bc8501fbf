"""What stands before every address of the web server: its names, the password, other sites, and the headers."""

from __future__ import annotations

import ipaddress
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from flask import Flask
from werkzeug.routing import Rule

from conftest import REPOSITORY, Command, wait_for
from framewatch.embedded.home import Endpoints
from framewatch.uploads.jobs import UploadLimits
from framewatch.vision.detectors.faces import HaarFaces
from framewatch.web.app import Backend
from framewatch.web.predictor import Predictor
from framewatch.web.schemas import AboutOut
from framewatch.web.security import auth
from framewatch.web.security.headers import ALWAYS
from framewatch.web.security.proxies import client_address
from framewatch.web.security.rate import RateLimit
from test_web import STATIC, Clock, Site, authorization, below, measured, serve

PASSWORD = "pässword"
KNOWN = authorization("framewatch", PASSWORD)
WRONG = [
    (authorization("framewatch", "wrong"),), (authorization("other", PASSWORD),), (authorization("", ""),),
    (authorization("framewatch", ""),), ("Authorization: Bearer pässword",), ("Authorization: Basic !",),
    ("Authorization: Basic",), ("Authorization: Basic //46/w==",),
]  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
ABOUT = AboutOut(
    version="1", preset=None, model="m@1", labels=["face"], retention_days=30, max_upload_mb=10, max_video_mb=500,
    frame_retention_days=None, webhook=False, output=False, password=True, rules=0, started=datetime.now(UTC),
)  # fmt: skip


class Untouched:
    """A part that fails the test when anything but its limits is asked of it."""

    limits = UploadLimits()

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was reached")


def every_part() -> dict[str, Any]:
    """A value for every part of the backend, so that all sections are there."""
    predictor = Predictor(HaarFaces, HaarFaces.labels)
    predictor.close()
    given = {"hub", "health", "rules", "predict_limits"}
    parts = {part.name: Untouched() for part in fields(Backend) if part.name not in given}
    return {**parts, "predictor": predictor, "about": lambda: ABOUT, "stats": None}


def addresses(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every rule of the application, with an address that it matches."""
    builder = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        yield rule, builder.build(rule.endpoint, dict.fromkeys(rule.arguments, 1), force_external=False)


def clients() -> Iterator[str]:
    """Ever other addresses of this machine, so that none is a client that failed too often."""
    return (f"127.0.{n // 250}.{n % 250 + 2}" for n in itertools.count())


def test_without_the_right_password_no_address_answers() -> None:
    with serve(password=PASSWORD, **every_part()) as site:
        every, client = [address for _, address in addresses(site.app)], clients()
        assert len(every) > 25
        assert {"/", "/docs", "/health", "/metrics", "/predict", "/video/1"} < set(every)
        for address in [*every, "/no-such-page"]:
            for method in METHODS:
                refused(site, address, method, (), next(client))
            for lines in WRONG:
                refused(site, address, "GET", lines, next(client))


def refused(site: Site, address: str, method: str, lines: tuple[str, ...], client: str) -> None:
    status, headers, body = site.ask(address, method, *lines, client=client)
    assert (status, headers["Content-Type"]) == (401, "application/problem+json"), (method, address, lines)
    assert headers["WWW-Authenticate"] == 'Basic realm="Framewatch server"'
    assert method == "HEAD" or json.loads(body)["status"] == 401


def test_the_right_password_opens_every_page() -> None:
    with serve(password=PASSWORD) as site:
        site.publish()
        for address in ("/", "/video", "/video/cam", "/snapshot/cam.jpg", "/streams", "/health", f"/static/{STATIC}"):
            assert site.ask(address, "GET", KNOWN)[0] == 200
        assert site.hub.viewers <= 2


def test_pages_of_other_sites_can_have_nothing_changed_at_any_address() -> None:
    with serve(**every_part()) as site:
        unsafe = [(m, address) for rule, address in addresses(site.app) for m in UNSAFE & (rule.methods or set())]
        assert ("POST", "/predict") in unsafe
        for method, address in unsafe:
            for lines in OTHER_SITES:
                status, headers, body = site.ask(address, method, "Content-Length: 0", *lines)
                assert (status, headers["Content-Type"]) == (403, "application/problem+json"), (
                    method,
                    address,
                    lines,
                )
                assert "FRAMEWATCH_ORIGINS" in json.loads(body)["detail"]


OTHER_SITES = [
    ("Origin: https://evil.example",), ("Origin: null",), ("Origin: https://localhost.evil.example",),
    ("Origin: http://localhost:1",), ("Origin: http://[",), ("Origin: ",), ("Sec-Fetch-Site: cross-site",),
    ("Sec-Fetch-Site: same-site",), ("Sec-Fetch-Site: Same-Origin",), ("Sec-Fetch-Site: same-origin, cross-site",),
    ("Sec-Fetch-Site: cross-site", "Origin: http://localhost"),
    ("Sec-Fetch-Site: cross-site", "Origin: https://friend.example.evil.example"),
]  # fmt: skip
FRIEND = "https://friend.example"


def test_pages_of_a_listed_origin_can_and_no_others() -> None:
    with serve(origins=(FRIEND,)) as site:
        for lines in OTHER_SITES:
            assert site.ask("/health", "POST", "Content-Length: 0", *lines)[0] == 403
        friend = ("Sec-Fetch-Site: cross-site", f"Origin: {FRIEND}")
        status, headers, _ = site.ask("/health", "POST", "Content-Length: 0", *friend)
        assert (status, headers["Access-Control-Allow-Origin"]) == (405, FRIEND)


def test_pages_of_this_server_can_and_what_is_no_browser() -> None:
    with serve() as site:
        for lines in [(), ("Sec-Fetch-Site: same-origin",), ("Sec-Fetch-Site: none",), ("Origin: http://localhost",)]:
            assert site.ask("/health", "POST", "Content-Length: 0", *lines)[0] == 405


def test_pictures_are_put_into_pages_of_listed_origins_only() -> None:
    with serve(origins=(FRIEND,)) as site:
        site.publish()
        inside = ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image")
        for address in ("/video", "/snapshot/cam.jpg"):
            for site_, page in (("cross-site", "https://evil.example/"), ("same-site", "http://localhost:3000/")):
                lines = (f"Sec-Fetch-Site: {site_}", f"Referer: {page}", *inside)
                assert site.ask(address, "GET", *lines)[0] == 403
            for line in (f"Referer: {FRIEND}/wall", f"Origin: {FRIEND}"):
                status, headers, _ = site.ask(address, "GET", "Sec-Fetch-Site: cross-site", line, *inside)
                assert (status, headers["Cross-Origin-Resource-Policy"]) == (200, "cross-origin")
            status, headers, _ = site.ask(address)
            assert (status, headers["Cross-Origin-Resource-Policy"]) == (200, "same-origin")
        link = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Referer: https://other.example/")
        assert site.ask("/", "GET", *link)[0] == 200


PREFLIGHT = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")


def test_a_listed_page_may_ask_whether_it_may_ask_without_a_password_and_nothing_else() -> None:
    with serve(password=PASSWORD, origins=(FRIEND,)) as site:
        status, headers, body = site.ask("/health", "OPTIONS", f"Origin: {FRIEND}", *PREFLIGHT)
        assert (status, body) == (204, b"")
        assert headers["Access-Control-Allow-Origin"] == FRIEND
        assert headers["Access-Control-Allow-Credentials"] == "true"
        for lines in [
            (f"Origin: {FRIEND}",), ("Origin: https://evil.example", *PREFLIGHT), PREFLIGHT, (),
        ]:  # fmt: skip
            status, headers, _ = site.ask("/health", "OPTIONS", *lines)
            assert status == 401, lines
            assert headers["Access-Control-Allow-Methods"] is None
        assert site.ask("/health", "GET", f"Origin: {FRIEND}", *PREFLIGHT)[0] == 401
        assert site.ask("/health", "OPTIONS", "Origin: https://evil.example", *PREFLIGHT, KNOWN)[0] in (200, 204)


NAMES = ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "localhost:5000", "127.0.0.1:80", "[::1]:65535"]
OTHERS = ["evil.example", "evil.example:5000", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1",
          "[2001:db8::1]", "0.0.0.0", "x", "localhost."]  # fmt: skip
NO_NAMES = ["", " ", "a b", "a/b", "a@localhost", "localhost:", "localhost:x", "localhost:123456", "[::1", "::1",
            "local\u00e9", "a" * 300, "localhost,localhost", "http://localhost", "..%2f"]  # fmt: skip


def statuses(site: Site, names: list[str]) -> set[int]:
    return {site.ask("/health", "GET", f"Host: {name}")[0] for name in names}


def test_on_loopback_it_answers_under_its_own_names_only() -> None:
    with serve(password=PASSWORD) as site:
        assert statuses(site, NAMES) == {401}
        assert statuses(site, OTHERS) == {403}
        assert statuses(site, NO_NAMES) == {400}
        assert "FRAMEWATCH_HOSTS" in json.loads(site.ask("/", "GET", "Host: evil.example")[2])["detail"]


def test_listed_names_are_its_names_too() -> None:
    with serve(hosts=("cam.example.org", "192.0.2.1")) as site:
        assert statuses(site, [*NAMES, "cam.example.org", "CAM.example.org:8443", "192.0.2.1"]) == {200}
        assert statuses(site, ["example.org", "x.cam.example.org", "192.0.2.2", "[2001:db8::1]"]) == {403}


def test_where_nobody_knows_its_names_any_will_do_with_a_password_and_addresses_without() -> None:
    with serve(hosts=None, password=PASSWORD) as site:
        assert statuses(site, [*NAMES, *OTHERS, "my_camera"]) == {401}
        assert statuses(site, NO_NAMES) == {400}
    with serve(hosts=None) as site:
        assert statuses(site, [*NAMES, "192.0.2.1", "192.0.2.1:5000", "[2001:db8::1]"]) == {200}
        assert statuses(site, ["evil.example", "192.0.2.1.evil.example", "1.2.3", "0x7f000001"]) == {403}


def test_after_twenty_wrong_passwords_a_client_waits_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    no_time_passes(monkeypatch)  # one more try is allowed every three seconds
    with serve(password=PASSWORD) as site:
        wrong = authorization("framewatch", "wrong")
        tries = [site.ask("/health", "GET", wrong, client="127.0.0.2") for _ in range(30)]
        assert [status for status, _, _ in tries] == [401] * 20 + [429] * 10
        assert int(tries[-1][1]["Retry-After"]) == 3
        assert json.loads(tries[-1][2])["status"] == 429
        # Not even the right one is compared: else guessing would go on at full speed.
        assert site.ask("/health", "GET", KNOWN, client="127.0.0.2")[0] == 429
        assert site.ask("/health", "GET", KNOWN, client="127.0.0.3")[0] == 200
        assert site.ask("/health", "GET", client="127.0.0.2")[0] == 401  # how a browser begins


def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "RateLimit", lambda per_minute: RateLimit(per_minute, lambda: 1000.0))


def test_who_guesses_does_not_lock_out_a_browser_of_the_same_address_that_has_logged_in(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    no_time_passes(monkeypatch)
    wrong = authorization("framewatch", "wrong")
    with serve(password=PASSWORD) as site:
        said = site.ask("/", "GET", KNOWN)[1]["Set-Cookie"]
        cookie = f"Cookie: {said.partition(';')[0]}"
        assert "HttpOnly" in said and "SameSite=Strict" in said
        assert PASSWORD not in said
        for _ in range(25):
            site.ask("/", "GET", wrong)
        assert [site.ask("/", "GET", *lines)[0] for lines in ((KNOWN,), (KNOWN, cookie))] == [429, 200]
        assert site.ask("/", "GET", cookie)[0] == 401  # the cookie is no password
        # Its own failures are counted for the browser, wherever it is.
        statuses = [site.ask("/", "GET", wrong, cookie, client="127.0.0.4")[0] for _ in range(21)]
        assert statuses == [401] * 20 + [429]
        assert site.ask("/", "GET", KNOWN, client="127.0.0.4")[0] == 200
        for forged in ("x", "", "a" * 4000, cookie[8:-1], f"{cookie[8:]}x"):
            assert site.ask("/", "GET", KNOWN, f"Cookie: {auth.COOKIE}={forged}")[0] == 429
    lines = [record.message for record in caplog.records if "wrong passwords" in record.message]
    assert lines == ["more than 20 wrong passwords a minute from 127.0.0.1"]  # and not one for each


def test_only_a_page_that_a_browser_opens_sets_the_cookie() -> None:
    with serve(password=PASSWORD) as site:
        site.publish()
        for address in ("/health", "/streams", "/snapshot/cam.jpg", "/video/cam", f"/static/{STATIC}", "/no"):
            assert site.ask(address, "GET", KNOWN)[1]["Set-Cookie"] is None
        assert site.ask("/")[1]["Set-Cookie"] is None
    with serve() as site:
        assert site.ask("/")[1]["Set-Cookie"] is None


TRUSTED = [ipaddress.ip_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the first one is the client's own word
        ("127.0.0.1", "198.51.100.1,203.0.113.9,10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "10.1.2.3, 10.1.2.4", "10.1.2.3"),
        ("127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("127.0.0.1", "2001:db8::9", "2001:db8::9"),
        ("127.0.0.1", "[2001:DB8::9]:4711", "2001:db8::9"),
        ("127.0.0.1", "[2001:db8::9], 2001:db8:1::1", "2001:db8::9"),
        ("127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1::7", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # no proxy of ours
        ("2001:db8:2::7", "203.0.113.9", "2001:db8:2::7"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9, _hidden, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "203.0.113.9,", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9:", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.999", "127.0.0.1"),
        ("127.0.0.1", "1.2.3", "127.0.0.1"),
        ("127.0.0.1", "[203.0.113.9]", "127.0.0.1"),
        ("127.0.0.1", "fe80::1%eth0", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9 198.51.100.1", "127.0.0.1"),
        ("127.0.0.1", "\u0662\u0660\u0663.0.113.9", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9, " + "10.0.0.1, " * 5000 + "10.0.0.1", "10.0.0.1"),
        ("", "203.0.113.9", ""),
        (None, "203.0.113.9", None),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(
    peer: str | None, forwarded_for: str, client: str | None
) -> None:
    assert client_address(peer, forwarded_for, TRUSTED) == client


def test_behind_a_trusted_proxy_who_guesses_locks_out_only_their_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    no_time_passes(monkeypatch)
    wrong, friend = authorization("framewatch", "wrong"), "X-Forwarded-For: 203.0.113.2"
    with serve(password=PASSWORD, trusted_proxies=TRUSTED) as site:
        for number in range(25):
            status, _, body = site.ask("/health", "GET", wrong, f"X-Forwarded-For: 10.9.9.{number}, 203.0.113.1")
        assert (status, "from 203.0.113.1:" in json.loads(body)["detail"]) == (429, True)
        assert site.ask("/health", "GET", KNOWN, friend)[0] == 200
        # Given twice it is one list, of which the last line is the proxy's.
        assert site.ask("/health", "GET", KNOWN, friend, "X-Forwarded-For: 203.0.113.1")[0] == 429
        # Whoever comes past the proxy cannot choose an address.
        for number in range(20):
            site.ask("/health", "GET", wrong, f"X-Forwarded-For: 198.51.100.{number}", client="127.0.0.9")
        assert site.ask("/health", "GET", KNOWN, friend, client="127.0.0.9")[0] == 429
    with serve(password=PASSWORD) as site:  # none is trusted unless listed
        for number in range(20):
            site.ask("/health", "GET", wrong, f"X-Forwarded-For: 198.51.100.{number}")
        assert site.ask("/health", "GET", KNOWN, friend)[0] == 429


def test_a_trusted_proxy_cannot_change_the_name_that_is_asked_for() -> None:
    with serve(password=PASSWORD, trusted_proxies=TRUSTED) as site:
        forged = ("X-Forwarded-Host: localhost", "Forwarded: for=203.0.113.1;host=localhost")
        assert site.ask("/health", "GET", "Host: evil.example", *forged)[0] == 403


def test_right_passwords_and_requests_without_one_never_count() -> None:
    with serve(password=PASSWORD) as site:
        for _ in range(50):
            assert site.ask("/health")[0] == 401
            assert site.ask("/health", "GET", KNOWN)[0] == 200


def test_wrong_passwords_are_forgotten_at_a_steady_pace() -> None:
    clock, app = Clock(), Flask("test")
    auth.protect(app, "user", "password", RateLimit(20, clock))
    client = app.test_client()

    def status() -> int:
        return client.get("/", auth=("user", "wrong")).status_code

    assert [status() for _ in range(21)] == [401] * 20 + [429]
    clock.ahead_s += 3.1
    assert [status() for _ in range(2)] == [401, 429]
    clock.ahead_s += 60
    assert [status() for _ in range(21)] == [401] * 20 + [429]


def test_every_answer_has_the_security_headers() -> None:
    with serve(max_viewers=1, password=PASSWORD) as site:
        site.publish()
        targets = ("/", "/video/cam", "/snapshot/cam.jpg", "/snapshot/no.jpg", "/streams", "/health", "/no", "/docs")
        answers = [
            site.ask(target, method, *lines, client=f"127.0.0.{2 + len(lines)}")
            for target in (*targets, f"/static/{STATIC}")
            for method in ("GET", "HEAD", "POST")
            for lines in ((KNOWN,), ())
        ]
        wait_for(lambda: site.hub.viewers == 0, "the place given back")
        with site.open("/video", "GET", KNOWN) as watching:
            assert watching.readline() == b"--framewatch\r\n"
            answers.append(site.ask("/video", "GET", KNOWN))
        answers.append(site.ask("/", "GET", "Host: evil.example"))
        answers.append(site.ask("/", "GET", "Content-Length: -1"))  # refused before the application sees it
        assert {status for status, _, _ in answers} == {200, 400, 401, 403, 404, 405, 503}
        for _, headers, _ in answers:
            assert all(headers[name] for name in (*ALWAYS, "Cross-Origin-Resource-Policy"))
            assert headers["Server"] == "framewatch"
            policy = headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in policy
            assert "script-src 'self'" in policy or "default-src 'none'" in policy
            assert "unsafe-eval" not in policy
            if headers.get_content_type().endswith("json"):
                assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("line", ["Origin: https://evil.example", "Origin: null"])
def test_a_page_that_is_not_listed_can_read_nothing(line: str) -> None:
    with serve(origins=(FRIEND,)) as site:
        site.publish()
        for address in ("/health", "/snapshot/cam.jpg", "/no"):
            headers = site.ask(address, "GET", line)[1]
            assert headers["Access-Control-Allow-Origin"] is None
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Origin" in headers["Vary"]


def test_every_test_that_the_security_page_names_is_there() -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", page))
    assert len(named) > 20
    for file, name in named:
        assert f"def {name}(" in (REPOSITORY / "tests" / file).read_text(), (file, name)


def test_frames_in_kafka_are_deleted_as_the_security_page_says(
    framewatch: Command, topic: str, endpoints: Endpoints, tmp_path: Path
) -> None:
    page = (REPOSITORY / "docs" / "security.md").read_text()
    order = re.search(r"echo '(.*)' > delete\.json", page)
    change = re.search(r"framewatch kafka (configs .*)", page)
    assert order and change
    producer = Producer({"bootstrap.servers": endpoints.kafka})
    for _ in range(3):
        producer.produce(topic, b"a frame", partition=0)
    assert producer.flush(20) == 0
    (tmp_path / "delete.json").write_text(order[1].replace("distributed-video1", topic))
    for arguments in (
        ["delete-records", "--offset-json-file", str(tmp_path / "delete.json")],
        change[1].replace("distributed-video1", topic).split(),
    ):
        process = framewatch("kafka", *arguments)
        said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    reader = Consumer({"bootstrap.servers": endpoints.kafka, "group.id": topic})
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=20) == (3, 3)
    reader.close()


def test_guessing_does_not_hold_up_the_others() -> None:
    measured(beside_guesses_s, below(5))


def beside_guesses_s() -> float:
    """Seconds until one who knows the password is answered after two hundred guesses of another."""
    with serve(password=PASSWORD) as site:
        started = time.monotonic()
        for number in range(200):
            site.ask("/", "GET", authorization("framewatch", str(number)), client="127.0.0.9")
        assert site.ask("/health", "GET", KNOWN)[0] == 200
        return time.monotonic() - started
