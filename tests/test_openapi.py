"""The API's description and page, errors of every kind, pages of other sites, and the figures for Prometheus."""

from __future__ import annotations

import http.server
import importlib
import json
import pkgutil
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_openapi3.openapi import OpenAPI
from openapi_spec_validator import validate
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict, Field, field_validator
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By

import framewatch.web
from conftest import wait_for
from framewatch.consumer.stats import Stats
from framewatch.errors import BrokerUnavailable, StoreUnavailable
from framewatch.live.feed import Feed
from framewatch.live.hub import LiveHub
from framewatch.model.health import Health
from framewatch.vision.detectors.faces import HaarFaces
from framewatch.web.api.docs import complete_document
from framewatch.web.api.problems import ANY_PARAMETERS
from framewatch.web.app import AccessControl, Backend, create_app
from framewatch.web.predictor import Predictor
from framewatch.web.schemas import AboutOut
from framewatch.web.server import WebServer
from shared import free_port
from test_browser import Browser, browser, chrome  # noqa: F401  # fixtures
from test_guards import ABOUT, addresses, every_part
from test_web import HEALTHY, authorization, serve

FOREIGN = re.compile(r"""(?:src|href|action|url\()\s*=?\s*["']?(?:https?:)?//""", re.IGNORECASE)
SITE = "https://dashboards.example.org:8443"
OTHER = "https://evil.example.org"
SECRET = {"Authorization": authorization("framewatch", "correct horse").removeprefix("Authorization: ")}


@pytest.fixture(scope="module")
def predictor() -> Iterator[Predictor]:
    made = Predictor(HaarFaces, HaarFaces.labels)
    yield made
    made.close()


@pytest.fixture
def app(predictor: Predictor) -> OpenAPI:
    return create_app(Backend(LiveHub(8), lambda: HEALTHY, predictor=predictor, feed=Feed(), stats=Stats()))


@pytest.fixture
def client(app: OpenAPI) -> FlaskClient:
    return app.test_client()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, told) for path, item in document["paths"].items() for method, told in item.items()]


def test_a_parameter_that_an_address_does_not_have_is_refused_but_for_pages_pictures_and_probes(
    client: FlaskClient,
) -> None:
    for method, target in (("GET", "/streams?label=face"), ("GET", "/classes?x"), ("POST", "/predict?threshold=0.5")):
        answer = client.open(target, method=method)
        assert answer.status_code == 422, target
        assert answer.get_json()["errors"][0]["loc"] == [target.partition("?")[2].partition("=")[0]]
    for target in ("/", "/health", "/metrics", "/docs", "/openapi.json", "/favicon.ico", "/static/app.js"):
        with client.get(f"{target}?t=1795256100") as page:
            assert page.status_code == 200, target
    for target in ("/video", "/video/door"):
        assert client.head(f"{target}?since=1795256100").status_code == 200
    assert "no picture" in client.get("/snapshot/door.jpg?t=1").get_json()["detail"]
    assert client.get("/nothing?x=1").status_code == 404
    assert client.options("/streams?x=1").status_code == 200


def test_every_address_but_those_refuses_a_parameter_that_it_does_not_have() -> None:
    app = create_app(Backend(LiveHub(1), lambda: HEALTHY, **every_part()))
    client = app.test_client()
    assert set(app.view_functions) > ANY_PARAMETERS
    for rule, address in addresses(app):
        for method in (rule.methods or set()) - {"OPTIONS"} if rule.endpoint not in ANY_PARAMETERS else ():
            assert client.open(f"{address}?nonsense=1", method=method).status_code == 422, (method, address)


def test_how_long_frames_are_kept_is_told_as_soon_as_it_is_known() -> None:
    days: list[float | None] = [None]

    def about() -> AboutOut:
        return ABOUT.model_copy(update={"frame_retention_days": days[-1]})

    client = create_app(Backend(LiveHub(1), lambda: HEALTHY, about=about)).test_client()
    assert client.get("/about").get_json()["frame_retention_days"] is None
    days.append(7.0)
    assert client.get("/about").get_json()["frame_retention_days"] == 7.0


# The description


def test_the_description_is_valid_openapi_3_1(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert document["openapi"] == "3.1.0"
    validate(document)
    assert document == client.get("/openapi.json").get_json()


def test_every_route_is_described_and_nothing_else(app: OpenAPI) -> None:
    document = app.test_client().get("/openapi.json").get_json()
    told = {(path, method.upper()) for path, method, _ in operations(document)}
    there = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    assert told == there


def test_every_operation_has_a_name_a_summary_and_its_errors(client: FlaskClient) -> None:
    told = operations(client.get("/openapi.json").get_json())
    names = [operation["operationId"] for _, _, operation in told]
    assert len(set(names)) == len(names) > 10
    assert all(re.fullmatch(r"\w+", name) for name in names)
    for path, method, operation in told:
        assert operation["summary"], path
        assert not re.search(r"<br|Args:|Raises:", json.dumps(operation)), path
        answers = operation["responses"]
        assert {status[0] for status in answers} <= set("2345d")
        assert ("403" in answers) == (method != "get"), path
        heeds_none = path in {"/", "/favicon.ico", "/health", "/metrics", "/openapi.json", "/video"}
        assert ("422" in answers) == (not (heeds_none or path.startswith("/docs"))), path
        for status, answer in answers.items():
            if status == "default" or (status >= "400" and (path, status) != ("/health", "503")):
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_a_password_is_described_where_one_is_asked_for(client: FlaskClient) -> None:
    open_to_all = client.get("/openapi.json").get_json()
    assert "security" not in open_to_all
    assert "securitySchemes" not in open_to_all["components"]
    closed = create_app(Backend(LiveHub(1), lambda: HEALTHY), AccessControl(password="correct horse")).test_client()
    document = closed.get("/openapi.json", headers=SECRET).get_json()
    validate(document)
    assert document["components"]["securitySchemes"] == {"basic": {"type": "http", "scheme": "basic"}}
    assert document["security"] == [{"basic": []}]
    assert all("401" in operation["responses"] for _, _, operation in operations(document))


def test_the_description_and_its_page_are_behind_the_password_too() -> None:
    closed = create_app(Backend(LiveHub(1), lambda: HEALTHY), AccessControl(password="correct horse")).test_client()
    for path in ("/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/openapi.json", "/metrics"):
        refused = closed.get(path)
        assert (refused.status_code, refused.content_type) == (401, "application/problem+json"), path
        with closed.get(path, headers=SECRET) as answer:
            assert answer.status_code == 200, path


def test_no_other_page_of_the_library_is_there(client: FlaskClient) -> None:
    for path in (
        "/openapi",
        "/openapi/",
        "/openapi/swagger",
        "/openapi/openapi.json",
        "/openapi/oauth2-redirect.html",
    ):
        assert client.get(path).status_code == 404, path


def test_no_two_models_have_the_same_name() -> None:
    """In the description they have one place by name, so one would silently stand for the other."""
    places: dict[str, set[str]] = {}
    for module in pkgutil.walk_packages(framewatch.web.__path__, "framewatch.web."):
        for name, thing in vars(importlib.import_module(module.name)).items():
            if isinstance(thing, type) and issubclass(thing, BaseModel):
                places.setdefault(name, set()).add(thing.__module__)
    assert len(places) > 20
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


# The page


def test_the_page_names_no_foreign_address(client: FlaskClient) -> None:
    answer = client.get("/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    assert "//" not in answer.text
    assert not FOREIGN.search(answer.text)
    policy = answer.headers["Content-Security-Policy"]
    assert "//" not in policy
    assert "unsafe" not in policy
    for part in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        with client.get(part) as found:
            assert found.status_code == 200, part
    with client.get("/docs/swagger-ui.css") as style:
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", style.get_data(as_text=True))


# What a page says of an element that it is about to show.
NOT_YET = (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)


def clicked(browser: Browser, selector: str) -> bool:  # noqa: F811
    """Whether it was there to be clicked."""
    try:
        browser.driver.find_element(By.CSS_SELECTOR, selector).click()
    except NOT_YET:
        return False
    return True


def test_the_page_opens_and_asks_without_another_host(browser: Browser) -> None:  # noqa: F811
    with serve() as site:
        home = f"http://127.0.0.1:{site.port}"
        browser.driver.get(f"{home}/docs?url={home.replace('127.0.0.1', 'localhost')}/evil.json&validatorUrl=x")
        wait_for(lambda: "/snapshot/{stream}.jpg" in browser.text("#docs"), "the description")
        assert "Framewatch" in browser.text("#docs h1, #docs h2")
        for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
            # Found anew each time: the page makes its parts anew as long as it opens.
            wait_for(partial(clicked, browser, f"#operations-state-health_page {button}"), button)
        wait_for(lambda: '"healthy"' in browser.text("#docs .live-responses-table"), "the answer")
        asked = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert len(asked) >= 5
        assert [address for address in asked if not address.startswith(f"{home}/")] == []


# Errors


class Word(BaseModel):
    """For the tests only."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(5, ge=1, le=9)
    name: str = Field("", max_length=10)
    even: int = 0

    @field_validator("even")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError(f"got {number}: expected an even number " + "x" * 10_000)
        return number


@pytest.fixture
def failing(app: OpenAPI) -> FlaskClient:
    """With routes that fail in every way, and one with parameters."""
    errors: dict[str, Exception] = {
        "bug": RuntimeError("password is hunter2"),
        "store": StoreUnavailable("mongodb://me:hunter2@db:27017 did not answer"),
        "broker": BrokerUnavailable("kafka-1.internal:9092 did not answer"),
        "long": StoreUnavailable("x" * 100_000),
    }

    def fail(kind: str) -> NoReturn:
        raise errors[kind]

    app.add_url_rule("/fail/<kind>", view_func=fail)

    @app.get("/words", doc_ui=False)
    def words(query: Word) -> dict[str, Any]:
        return query.model_dump()

    return app.test_client()


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/", {"Host": "a b"}, 400),
        ("GET", "/", {"Host": "evil.example.org"}, 403),
        ("POST", "/predict", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", "/no", {}, 404),
        ("GET", "/health/", {}, 404),
        ("GET", "/snapshot/none.jpg", {}, 404),
        ("POST", "/health", {}, 405),
        ("TRACE", "/health", {}, 405),
        ("DELETE", "/static/app.js", {}, 405),
        ("POST", "/predict", {"Content-Type": "image/png", "Content-Length": "99999999999"}, 413),
        ("POST", "/predict", {"Content-Type": "text/html"}, 415),
        ("GET", "/health?a=1&a=2", {}, 422),
        ("GET", "/words?limit=10", {}, 422),
        ("GET", "/words?%24where=1", {}, 422),
        ("GET", "/events/live?nothing=1", {}, 422),
        ("GET", "/fail/bug", {}, 500),
        ("GET", "/fail/store", {}, 503),
        ("GET", "/fail/broker", {}, 503),
        ("GET", "/fail/long", {}, 503),
    ],
)
def test_every_error_is_a_small_problem_in_json_that_tells_no_secret(
    failing: FlaskClient, method: str, target: str, headers: dict[str, str], status: int
) -> None:
    failing.application.config["PROPAGATE_EXCEPTIONS"] = False
    # The test client would put the length of its own, empty body there.
    length = {"CONTENT_LENGTH": headers["Content-Length"]} if "Content-Length" in headers else {}
    answer = failing.open(target, method=method, headers=headers, environ_overrides=length)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    problem = answer.get_json()
    assert set(problem) - {"errors"} == {"type", "title", "status", "detail"}
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"] and problem["detail"]
    assert ("errors" in problem) == (status == 422)
    assert len(answer.data) < 2000
    assert not re.search(rb"hunter2|mongodb|internal:9092|Traceback|\.py", answer.data)
    assert ("Allow" in answer.headers) == (status == 405)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_each_wrong_parameter_is_named_and_what_was_sent_does_not_come_back(failing: FlaskClient) -> None:
    long = "y" * 5000
    answer = failing.get("/words", query_string={"limit": "many", "name": long, long: "1", "even": "3"})
    assert answer.status_code == 422
    errors = {error["loc"][0]: error["msg"] for error in answer.get_json()["errors"]}
    assert set(errors) == {"limit", "name", "y" * 80, "even"}
    assert errors["limit"].startswith("Input should be a valid integer")
    assert errors["even"].startswith("got 3: expected an even number")
    assert len(answer.data) < 3000
    assert failing.get("/words?limit=9&even=2").get_json() == {"limit": 9, "name": "", "even": 2}


def test_a_thousand_wrong_parameters_are_not_all_told(failing: FlaskClient) -> None:
    answer = failing.get("/words", query_string={f"p{n}": "1" for n in range(1000)})
    assert (answer.status_code, len(answer.get_json()["errors"])) == (422, 20)


def test_head_and_options_are_answered_wherever_get_is(client: FlaskClient) -> None:
    for path in ("/", "/health", "/streams", "/classes", "/metrics", "/docs", "/openapi.json", "/events/live"):
        with client.get(path) as got, client.head(path) as asked:
            assert (asked.status_code, asked.data) == (200, b""), path
            assert asked.content_type == got.content_type
        options = client.options(path)
        assert options.status_code == 200
        assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["Allow"].split(", "))


def test_what_a_proxy_could_say_is_not_believed(app: OpenAPI) -> None:
    lies = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example.org",
    }

    @app.get("/me", doc_ui=False)
    def me() -> dict[str, Any]:
        from flask import request, url_for  # noqa: PLC0415

        return {"address": request.remote_addr, "here": url_for("me", _external=True)}

    client = app.test_client()
    assert client.get("/me", headers=lies).get_json() == {"address": "127.0.0.1", "here": "http://localhost/me"}
    assert "evil" not in client.get("/", headers=lies).text


# Pages of other sites


def cors_headers(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("Access-Control-")}


def listed(*origins: str, password: str | None = None) -> FlaskClient:
    return create_app(
        Backend(LiveHub(1), lambda: HEALTHY), AccessControl(origins=origins, password=password)
    ).test_client()


PREFLIGHT = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization,x-evil"}


def test_without_a_list_no_other_site_is_let_in(client: FlaskClient) -> None:
    for origin in (SITE, OTHER, "null", "http://localhost:80"):
        for path in ("/health", "/no", "/openapi.json"):
            assert cors_headers(client.get(path, headers={"Origin": origin})) == {}
            assert cors_headers(client.options(path, headers={"Origin": origin, **PREFLIGHT})) == {}


def test_a_listed_site_may_ask_read_and_send() -> None:
    client = listed(SITE, "https://second.example.org")
    for path in ("/health", "/no", "/openapi.json", "/static/app.js"):
        with client.get(path, headers={"Origin": SITE, "Sec-Fetch-Site": "cross-site"}) as answer:
            headers = cors_headers(answer)
            assert headers["Access-Control-Allow-Origin"] == SITE
            assert headers["Access-Control-Allow-Credentials"] == "true"
            assert "Retry-After" in headers["Access-Control-Expose-Headers"]
            assert "Origin" in answer.vary
    asked = client.options("/health", headers={"Origin": SITE, **PREFLIGHT})
    assert asked.status_code == 204
    assert cors_headers(asked)["Access-Control-Allow-Headers"] == "authorization"
    assert cors_headers(asked)["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, POST"
    sent = client.post("/health", headers={"Origin": SITE, "Sec-Fetch-Site": "cross-site"})
    assert sent.status_code == 405  # let in, and there is nothing to send to


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "null",
        "*",
        "",
        SITE + ".evil.org",
        SITE + "\n",
        SITE + "/",
        "x" + SITE,
        SITE.replace("https", "http"),
        SITE.removesuffix(":8443"),
        SITE.replace(".", "x"),
        "http://:",
        "http://::",
    ],
)
def test_no_other_site_is_let_in_beside_a_listed_one(origin: str) -> None:
    client = listed(SITE, "http://[::1]:8000")
    headers = {"Origin": origin.strip("\n")} if origin != SITE + "\n" else {"Origin": SITE + "%0a"}
    for answer in (client.get("/health", headers=headers), client.options("/health", headers=headers | PREFLIGHT)):
        assert cors_headers(answer) == {}
        assert "Origin" in answer.vary
    assert client.post("/health", headers=headers | {"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_an_address_in_brackets_is_taken_as_it_is() -> None:
    client = listed("http://[::1]:8000")
    allowed = cors_headers(client.get("/health", headers={"Origin": "http://[::1]:8000"}))
    assert allowed["Access-Control-Allow-Origin"] == "http://[::1]:8000"
    assert cors_headers(client.get("/health", headers={"Origin": "http://1:8000"})) == {}


def test_a_browser_may_ask_whether_it_may_without_the_password_and_nothing_else() -> None:
    client = listed(SITE, password="correct horse")
    asked = client.options("/events", headers={"Origin": SITE, **PREFLIGHT})
    assert (asked.status_code, asked.data) == (204, b"")
    assert cors_headers(asked)["Access-Control-Allow-Origin"] == SITE
    for answer in (client.get("/health", headers={"Origin": SITE}), client.post("/health", headers={"Origin": SITE})):
        assert answer.status_code == 401
        assert cors_headers(answer)["Access-Control-Allow-Origin"] == SITE  # so that the page can read why
    assert client.get("/health", headers={"Origin": SITE, **SECRET}).status_code == 200


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of another site."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>elsewhere</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def elsewhere() -> Iterator[str]:
    """Origin of a site that has a page and nothing else."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ASK = """
const [address, method, done] = arguments;
fetch(address, {method, credentials: "include", headers: {"Content-Type": "application/json"}})
  .then(answer => answer.json().then(body => done([answer.status, body.status]))).catch(() => done("kept away"))
"""


HERE = "return [document.URL, document.title, document.readyState]"


def test_in_a_browser_only_pages_of_listed_sites_read_and_send(chrome: Browser) -> None:  # noqa: F811
    with elsewhere() as let_in, elsewhere() as not_let_in:
        app = create_app(Backend(LiveHub(1), lambda: HEALTHY), AccessControl(origins=[let_in]))
        port = free_port()
        with WebServer(app, "127.0.0.1", port, 1):
            found = {}
            for origin in (let_in, not_let_in):
                chrome.driver.get(f"{origin}/")
                # Both pages have the same title, and the one before stays until this one has come.
                wait_for(lambda: chrome.run(HERE) == [f"{origin}/", "elsewhere", "complete"], "the page")  # noqa: B023
                for method in ("GET", "POST", "DELETE"):
                    address = f"http://127.0.0.1:{port}/health"
                    found[origin, method] = chrome.driver.execute_async_script(ASK, address, method)
    chrome.complaints()  # what it kept away
    assert [found[let_in, method] for method in ("GET", "POST", "DELETE")] == [
        [200, "healthy"],
        [405, 405],
        [405, 405],
    ]
    assert {found[not_let_in, method] for method in ("GET", "POST", "DELETE")} == {"kept away"}


# Figures


def figures(app: Flask) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus would read it."""
    answer = app.test_client().get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    return {
        sample.name + "".join(f",{name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_figures_are_those_of_the_worker() -> None:
    stats, hub = Stats(), LiveHub(8)
    for what, n in {
        "received": 7,
        "dead_letters": 2,
        "dropped": 1,
        "stored": 40,
        "duplicates": 3,
        "refused": 4,
        "done": 6,
    }.items():
        stats.count(what, n)
    for detect_s, latency_s in ((0.004, 0.02), (0.02, 0.3), (9, -5)):
        stats.shown(detect_s, latency_s)
    captured_us = time.time_ns() // 1000 - 2_000_000
    hub.publish("door", 1, captured_us, ("face",), lambda: b"")

    def health() -> Health:
        return Health("unhealthy", "up", "down", 3, 12, 30, 1, 1, hub.viewers, stats.counts())

    app = create_app(Backend(hub, health, stats=stats))
    with hub.viewer():
        found = figures(app)
    asked_s = time.time()
    for name, value in {
        "framewatch_frames_received_total": 7,
        "framewatch_frames_classified_total": 3,
        "framewatch_frames_dead_letters_total": 2,
        "framewatch_frames_dropped_total": 1,
        "framewatch_frames_done_total": 6,
        "framewatch_events_stored_total": 40,
        "framewatch_events_duplicate_total": 3,
        "framewatch_events_refused_total": 4,
        "framewatch_partitions": 3,
        "framewatch_lag_frames": 12,
        "framewatch_viewers": 1,
        "framewatch_up,component=broker": 1,
        "framewatch_up,component=store": 0,
        "framewatch_detect_seconds_count": 3,
        "framewatch_detect_seconds_bucket,le=0.005": 1,
        "framewatch_detect_seconds_bucket,le=0.025": 2,
        "framewatch_detect_seconds_bucket,le=+Inf": 3,
        "framewatch_latency_seconds_bucket,le=0.01": 1,
        "framewatch_latency_seconds_bucket,le=0.5": 3,
        "framewatch_build_info,version=0.1.0": 1,
    }.items():
        assert found[name] == value, name
    assert found["framewatch_detect_seconds_sum"] == pytest.approx(9.024)
    assert found["framewatch_latency_seconds_sum"] == pytest.approx(0.32)
    assert 2 <= found["framewatch_stream_age_seconds,stream=door"] <= asked_s - captured_us / 1e6 + 0.001
    assert found["framewatch_stream_frames_per_second,stream=door"] > 0
    stats.count("received")
    assert figures(app)["framewatch_frames_received_total"] == 8


def test_a_lag_that_nobody_knows_is_left_out() -> None:
    unknown = Health("unhealthy", "down", "up", 0, None, 0, 0, 0, 0, {})
    found = figures(create_app(Backend(LiveHub(1), lambda: unknown)))
    assert "framewatch_lag_frames" not in found
    assert found["framewatch_up,component=broker"] == 0


def test_odd_names_of_streams_and_openmetrics_can_be_read() -> None:
    hub = LiveHub(1)
    names = ['a "quoted" one', "back\\slash", "line\nbreak", "Straße", "{x}"]
    for name in names:
        hub.publish(name, 1, 1, (), lambda: b"")
    app = create_app(Backend(hub, lambda: HEALTHY, stats=Stats()))
    assert {f"framewatch_stream_age_seconds,stream={name}" for name in names} <= set(figures(app))
    answer = app.test_client().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]
    assert {sample.labels["stream"] for sample in families["framewatch_stream_age_seconds"].samples} == set(names)


def test_two_workers_in_one_process_have_figures_of_their_own() -> None:
    first, second = Stats(), Stats()
    apps = [create_app(Backend(LiveHub(1), lambda: HEALTHY, stats=stats)) for stats in (first, second)]
    first.shown(0.1, 0.1)
    assert [figures(app)["framewatch_detect_seconds_count"] for app in apps] == [1, 0]


def test_describing_twice_changes_nothing(app: OpenAPI) -> None:
    before = json.dumps(complete_document(app, False))
    assert json.dumps(complete_document(app, False)) == before


def test_the_first_page_is_json_where_that_is_asked_for(client: FlaskClient) -> None:
    page = client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.mimetype == "text/html"
    assert client.get("/").mimetype == "text/html"
    answer = client.get("/", headers={"Accept": "application/json"})
    assert answer.vary.as_set() >= {"accept"}
    assert answer.get_json() == {"name": "framewatch", "version": version("framewatch"), "status": "healthy"}
