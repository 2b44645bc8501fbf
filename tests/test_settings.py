"""Settings come from options and variables alike; what is wrong with them is said in one line, without secrets."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from annotated_types import Ge, Gt
from pydantic import SecretStr

from conftest import SAMPLE
from framewatch.cli.consume import consume
from framewatch.errors import SettingError
from framewatch.settings import Settings, environment_name, load_settings, misspelt

SECRET_FIELDS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
SECRET_FIELDS += ["kafka_options"]  # sasl.password stands in them
EXAMPLES = {
    "kafka_options": '{"security.protocol": "SSL"}',
    "mongodb_uri": "mongodb://else:27017",
    "runtime": "litert",
    "hosts": "cam.example.org",
    "origins": "https://example.org",
    "trusted_proxies": "10.0.0.0/8",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting but those of the test."""
    for name in os.environ:
        if name.startswith("FRAMEWATCH_") or name in {"KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"}:
            monkeypatch.delenv(name)


def example_of(field: str) -> str:
    """A value that the field takes and that is not its default, as text."""
    if field in EXAMPLES:
        return EXAMPLES[field]
    about = Settings.model_fields[field]
    kind = str(about.annotation)
    if about.annotation is bool:
        return str(not about.default).lower()
    if "int" in kind or "float" in kind:
        least = next(
            (bound.ge if isinstance(bound, Ge) else 1 for bound in about.metadata if isinstance(bound, Ge | Gt)), 1
        )
        return str(least) if least != about.get_default(call_default_factory=True) else f"{int(str(least)) + 1}"
    return "/elsewhere" if "Path" in kind else "something-else"


def plain(value: Any) -> Any:
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    return ",".join(map(str, value)) if isinstance(value, tuple) else value


def complaint(**options: Any) -> str:
    with pytest.raises(SettingError) as error:
        load_settings(**options)
    said = str(error.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_can_be_set_by_its_variable(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plain(getattr(load_settings(), field))
    monkeypatch.setenv(environment_name(field), example_of(field))
    after = plain(getattr(load_settings(), field))
    assert after != before
    assert after == {"security.protocol": "SSL"} or str(after).lower().removesuffix(".0") == example_of(field)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_says_what_it_is_for(field: str) -> None:
    assert Settings.model_fields[field].description


def test_variables_are_named_after_their_setting() -> None:
    assert environment_name("max_side") == "FRAMEWATCH_MAX_SIDE"
    assert environment_name("kafka_bootstrap_servers") == "KAFKA_BOOTSTRAP_SERVERS"
    assert environment_name("mongodb_uri") == "MONGODB_URI"


def test_an_option_wins_over_the_variable_and_one_not_given_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWATCH_QUALITY", "50")
    assert load_settings(quality="70").quality == 70
    assert load_settings(quality=None).quality == 50


@pytest.mark.parametrize(
    ("field", "wrong", "allowed"),
    [
        ("quality", "0", "greater than or equal to 1"),
        ("quality", "101", "less than or equal to 100"),
        ("quality", "9.5", "integer"),
        ("quality", "", "integer"),
        ("port", "70000", "65535"),
        ("port", "http", "integer"),
        ("max_side", "abc", "integer"),
        ("retention_days", "0", "greater than 0"),
        ("retention_days", "nan", "36500"),
        ("classifier_threads", "0", "greater than or equal to 1"),
        ("topic", "a/b", "letters, digits"),
        ("topic", "", "letters, digits"),
        ("stream", "front/door", "letters, digits"),
        ("run", "../run", "letters, digits"),
        ("group", "", "letters, digits"),
        ("instance", "a:b", "letters, digits"),
        ("database", "a.b", "A-Za-z0-9"),
        ("database", "x" * 39, "38"),
        ("insecure", "perhaps", "boolean"),
    ],
)
def test_a_wrong_value_is_answered_with_its_name_as_typed_what_was_got_and_what_is_allowed(
    field: str, wrong: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = complaint(**{field: wrong})
    assert said.startswith(f"--{field.replace('_', '-')}: got {wrong!r}: ")
    assert allowed in said
    monkeypatch.setenv(environment_name(field), wrong)
    said = complaint()
    assert said.startswith(f"{environment_name(field)}: got {wrong!r}: ")
    assert allowed in said


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEWATCH_PORT", "0")
    said = complaint(quality="0", topic="a/b")
    assert "--quality: got '0'" in said
    assert "--topic: got 'a/b'" in said
    assert "FRAMEWATCH_PORT: got '0'" in said


@pytest.mark.parametrize(
    ("variable", "wrong"),
    [
        ("FRAMEWATCH_PASSWORD", "geheim"),  # too short
        ("FRAMEWATCH_KAFKA_OPTIONS", '{"sasl.password": "geheim"'),
        ("FRAMEWATCH_KAFKA_OPTIONS", '["geheim"]'),
        ("FRAMEWATCH_KAFKA_OPTIONS", '{"sasl.password": {"geheim": 1}}'),
        ("FRAMEWATCH_KAFKA_OPTIONS", "sasl.password=geheim"),
    ],
)
def test_a_wrong_secret_is_not_shown(variable: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, wrong)
    said = complaint()
    assert said.startswith(f"{variable}: ")
    assert "geheim" not in said


@pytest.mark.parametrize(("variable", "least"), [("PASSWORD", 8), ("WEBHOOK", 8), ("MONGODB_URI", 1)])
def test_a_secret_that_is_too_short_is_told_how_many_characters_it_needs(
    variable: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = variable if variable == "MONGODB_URI" else f"FRAMEWATCH_{variable}"
    monkeypatch.setenv(name, "")
    assert complaint() == f"{name}: got a value not shown here: expected {least} or more characters"


@pytest.mark.parametrize("field", SECRET_FIELDS)
def test_a_right_secret_is_not_shown_either(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = '{"sasl.password": "geheim123"}' if field == "kafka_options" else "geheim123"
    monkeypatch.setenv(environment_name(field), secret)
    settings = load_settings()
    assert "geheim" in str(plain(getattr(settings, field)))
    assert "geheim" not in f"{settings} {settings!r}"


def test_settings_do_not_change_after_they_were_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("FRAMEWATCH_PORTT", "FRAMEWATCH_PORT"),
        ("FRAMEWATCH_PASWORD", "FRAMEWATCH_PASSWORD"),
        ("framewatch_max_sides", "FRAMEWATCH_MAX_SIDE"),
        ("FRAMEWATCH_MONGODB_URI", "MONGODB_URI"),
        ("FRAMEWATCH_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_misspelt_variable_is_noted_with_the_likely_one(name: str, likely: str) -> None:
    assert list(misspelt({name: "x"})) == [f"{name} sets nothing: is {likely} meant?"]


def test_a_variable_like_no_other_is_noted_without_a_guess() -> None:
    assert list(misspelt({"FRAMEWATCH_QQQQQQQQQQQQQQQQQQQQQ": "x"})) == [
        "FRAMEWATCH_QQQQQQQQQQQQQQQQQQQQQ sets nothing"
    ]


def test_right_variables_and_those_of_others_are_not_noted() -> None:
    right = {environment_name(field): "x" for field in Settings.model_fields}
    lower = {"framewatch_port": "x", "Framewatch_Host": "x"}
    assert list(misspelt(right | lower | {"PATH": "/bin", "KAFKA_HEAP_OPTS": "x"})) == []


def test_a_misspelt_variable_is_logged_with_its_name_but_not_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FRAMEWATCH_PASSWROD", "geheim123")
    load_settings()
    assert "FRAMEWATCH_PASSWROD sets nothing: is FRAMEWATCH_PASSWORD meant?" in caplog.text
    assert "geheim" not in caplog.text


@dataclass(frozen=True)
class Wrong:
    """A command line that cannot be right, and the words its one line must have."""

    arguments: Sequence[str]
    words: Sequence[str]
    code: int = 2
    variables: Mapping[str, str] | None = None

    def __str__(self) -> str:
        variables = [f"{name}={value}" for name, value in (self.variables or {}).items()]
        return " ".join([*variables, *(argument[:24] for argument in self.arguments)])


WRONG = (
    Wrong(["produce", str(SAMPLE), "--fps", "fast"], ["--fps", "'fast'", "native", "max"]),
    Wrong(["produce", str(SAMPLE), "--fps", "nan"], ["--fps", "'nan'", "native", "max"]),
    Wrong(["up", "--fps", "0"], ["--fps", "'0'", "native", "max"]),
    Wrong(["produce", str(SAMPLE), "--quality", "0"], ["--quality", "'0'", "1"]),
    Wrong(["consume", "--port", "70000"], ["--port", "'70000'", "65535"]),
    Wrong(["produce", str(SAMPLE), "--max-side", "abc"], ["--max-side", "'abc'", "integer"]),
    Wrong(["consume", "--preset", "cats"], ["--preset: ", "'cats'", "faces"]),
    Wrong(["up"], ["FRAMEWATCH_PRESET: ", "'cats'", "faces"], variables={"FRAMEWATCH_PRESET": "cats"}),
    Wrong(["up", "a.mp4", "b.mp4", "--stream", "x", "--stream", "X"], ["--stream: got 'X' for two sources"]),
    Wrong(["up", "a.mp4", "b.mp4", "--stream", "x"], ["--stream: got 1 for 2 sources"]),
    Wrong(["up", "a", "b"], ["FRAMEWATCH_STREAM: got 1 for 2 sources"], variables={"FRAMEWATCH_STREAM": "x"}),
    Wrong(["up", "a.mp4", "--stream", "a/b"], ["--stream: got 'a/b': a name is"]),
    Wrong(["up", "--stream", "x"], ["--stream: got 'x' and no SOURCE"]),
    Wrong(["consume", "--nonsense"], ["--nonsense", "--help"]),
    Wrong(["nonsense"], ["nonsense", "--help"]),
    Wrong(["produce"], ["SOURCE", "--help"]),
    Wrong(["produce", "missing.mp4"], ["missing.mp4", "no such file"], 1),
    Wrong(["produce", "http://hidden:geheim@[::1/x"], ["address"], 1),
    Wrong(["produce", "9" * 30], ["9" * 30], 1),
    Wrong(["produce", "a" * 300], ["aaa"], 1),
    Wrong(["consume", "--host", "0.0.0.0"], ["--host", "'0.0.0.0'", "FRAMEWATCH_PASSWORD", "--insecure"]),
    Wrong(["up"], ["FRAMEWATCH_HOST: ", "FRAMEWATCH_PASSWORD"], variables={"FRAMEWATCH_HOST": "0.0.0.0"}),
    Wrong(["consume", "--host", "300.1.1.1", "--insecure"], ["--host", "300.1.1.1"], 1),
    Wrong(["events", "list", "--since", "yesterdayish"], ["--since", "'yesterdayish'", "15m"]),
    Wrong(["kafka", "nosuchtool"], ["nosuchtool", "topics"]),
    Wrong(["services", "status"], ["FRAMEWATCH_PASSWORD"], variables={"FRAMEWATCH_PASSWORD": "geheim"}),
    Wrong(
        ["produce", str(SAMPLE)],
        ["FRAMEWATCH_KAFKA_OPTIONS", "no.such"],
        variables={"FRAMEWATCH_KAFKA_OPTIONS": '{"no.such": "option"}'},
    ),
    Wrong(["events", "list"], ["MONGODB_URI"], variables={"MONGODB_URI": "mongodb://hidden:geh/eim@h:x/"}),
)


# What every command line needs is loaded once, which takes longest; each then runs in a process of its own.
ANSWER_EACH = """
import gc, json, os, signal, sys
from framewatch.cli import cli, main

for name in cli.list_commands(None):
    cli.get_command(None, name)

gc.freeze()  # else each goes through all that was loaded once more when it ends
for number, (variables, arguments) in enumerate(json.load(sys.stdin)):
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # else the next would say it too
        continue
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
    signal.alarm(100)  # ends one that does not end
    os.environ.update(variables)
    main(arguments)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """What each command answers; none of them could reach a service if it tried."""
    folder = tmp_path_factory.mktemp("answers")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FRAMEWATCH_")}
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that no web server could start either
        nowhere = {
            "FRAMEWATCH_HOME": str(folder / "home"),
            "FRAMEWATCH_PORT": str(taken.getsockname()[1]),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "MONGODB_URI": "mongodb://127.0.0.1:1",
        }
        done = subprocess.run(
            [sys.executable, "-c", ANSWER_EACH],
            input=json.dumps([[wrong.variables or {}, wrong.arguments] for wrong in WRONG]),
            env=clean | nowhere,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=280,
            check=True,
        )
    codes = list(map(int, done.stdout.split()))
    said = [[(folder / f"{k}.{name}").read_text() for name in ("out", "err")] for k in range(len(WRONG))]
    return {
        str(wrong): subprocess.CompletedProcess(wrong.arguments, code, *texts)
        for wrong, code, texts in zip(WRONG, codes, said, strict=True)
    }


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_command_line_is_answered_with_one_line_that_says_what_is_wrong(
    wrong: Wrong, answers: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    answer = answers[str(wrong)]
    assert answer.stderr.startswith("framewatch: "), answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr
    assert answer.returncode == wrong.code
    assert answer.stdout == ""
    assert all(word in answer.stderr for word in wrong.words), answer.stderr
    assert "geheim" not in answer.stderr


OPTIONS = {"kafka_options": {"sasl.password": "a,b=c"}, "mongodb_uri": "mongodb://u:geheim@m"}


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_child_has_every_setting_of_its_parent(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever it is: a new setting is handed on without a word about it."""
    value = OPTIONS.get(field, example_of(field))
    parent = load_settings(**{field: value})
    for name, text in parent.child_environment().items():
        monkeypatch.setenv(name, text)
    child = load_settings()
    assert getattr(child, field) == getattr(parent, field)
    assert child.named(field) == f"--{field.replace('_', '-')}"  # as the person wrote it, to the parent


def test_a_child_has_no_variable_that_an_option_of_its_parent_overrode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("framewatch_port", "1")
    monkeypatch.setenv("FRAMEWATCH_MODEL", "a")
    environment = load_settings(port=2, preset="emotions").child_environment(topic="other", run=None)
    assert environment["FRAMEWATCH_PORT"] == "2" and "framewatch_port" not in environment
    assert environment["FRAMEWATCH_TOPIC"] == "other"
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    child = load_settings()
    assert child.chosen("preset", "model") == "preset"
    assert (child.named("port"), child.named("model")) == ("--port", "FRAMEWATCH_MODEL")


def test_a_setting_that_is_wrong_in_a_child_is_named_as_the_person_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_FRAMEWATCH_OPTIONS", "port")
    monkeypatch.setenv("FRAMEWATCH_PORT", "x")
    assert complaint().startswith("--port: got 'x'")


def test_the_help_says_which_paths_are_of_files_and_which_of_folders() -> None:
    text = consume.get_help(click.Context(consume))
    assert re.findall(r"--(\w+) FILE", text) == ["rules"]
    assert {"model", "models", "home"} <= set(re.findall(r"--(\w+) DIR", text))


def test_without_a_command_the_help_is_shown_in_its_own_lines(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "from framewatch.cli import main; main()"],
        env={**os.environ, "FRAMEWATCH_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    said = answer.stdout + answer.stderr
    assert answer.returncode == 2
    assert any(line.split()[:1] == ["produce"] for line in said.splitlines())


def test_lists_are_written_with_commas_and_each_item_is_checked() -> None:
    settings = load_settings(hosts="A.org, b.org,", origins="https://a.org:8443")
    assert settings.hosts == ("a.org", "b.org")
    assert settings.origins == ("https://a.org:8443",)
    proxies = load_settings(trusted_proxies="127.0.0.1, ::1,10.0.0.0/8").trusted_proxies
    assert [str(network) for network in proxies] == ["127.0.0.1/32", "::1/128", "10.0.0.0/8"]
    for wrong in ("proxy.example.org", "10.0.0.1/8", "127.0.0.1:80", "*", "127.0.0.1 ::1"):
        assert complaint(trusted_proxies=f"::1,{wrong}").startswith(
            f"--trusted-proxies: got '{wrong}': a proxy is an"
        )
    for everybody in ("0.0.0.0/0", "::/0"):
        assert "that is every address" in complaint(trusted_proxies=everybody)
    assert complaint(origins="*").startswith("--origins: got '*': an origin is scheme, host and port")
    assert complaint(hosts="a.org,http://b.org").startswith("--hosts: got 'http://b.org': a host is a name")
