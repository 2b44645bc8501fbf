"""What the docs say exists, and what exists is in the docs."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from conftest import REPOSITORY
from framewatch.activity.breaches import Breaches
from framewatch.alerting.webhook import payload
from framewatch.cli import cli
from framewatch.embedded.kafka import tool_names
from framewatch.model.names import is_upload
from framewatch.settings import Settings, environment_name
from framewatch.wiring.rules import load_rules

DOCS = [
    *(REPOSITORY / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in DOCS)
CHANGES = REPOSITORY / "CHANGELOG.md"
MODULES = {"framewatch.consumer": "consume", "framewatch.producer": "produce"}  # what python -m of it is
OF_TESTS = {"FRAMEWATCH_TEST_DATA"}  # variables that are no setting

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = set(PROJECT["project"]["optional-dependencies"])

page = pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)


def commands(command: click.Command, words: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command by the words that call it."""
    found = {" ".join(words): command} if words else {}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found |= commands(inner, (*words, name))
    return found


COMMANDS = commands(cli)


def options_of(command: click.Command) -> set[str]:
    flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    return {flag for flag in flags if flag.startswith("-")} | {"--help"}


def shell_lines(text: str) -> Iterator[str]:
    """Commands of a page: those of its blocks for a shell, and those inside its sentences; without comments."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M):
        for line in block.replace("\\\n", " ").splitlines():
            yield from re.split(r"&&|;|\|", re.sub(r"(^|\s)#.*", "", line))
    for inline in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)):
        yield from re.split(r"&&|;", inline)


def called(line: str) -> tuple[str, list[str]] | None:
    """The command of Framewatch that a line calls, and the words behind it; None where it calls another program."""
    try:
        words = shlex.split(line)
    except ValueError:  # a part of a sentence with an apostrophe in it
        return None
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[:1] == ["python"] and words[1:2] == ["-m"] and words[2:3] and words[2] in MODULES:
        return MODULES[words[2]], words[3:]
    if words[:3] == ["docker", "compose", "run"]:
        words = ["framewatch", *words[words.index("producer") + 1 :]] if "producer" in words else []
    if words[:1] != ["framewatch"] or not words[1:] or not re.fullmatch("[a-z]+", words[1]):
        return None
    two = " ".join(words[1:3])
    name = two if two in COMMANDS else words[1]
    return name, words[1 + len(name.split()) :]


def test_every_command_is_in_the_docs() -> None:
    assert [words for words in COMMANDS if f"framewatch {words}" not in TEXT] == []


def test_every_option_is_in_the_docs() -> None:
    options = {flag for c in COMMANDS.values() for p in c.params for flag in p.opts if flag.startswith("--")}
    assert sorted(flag for flag in options if flag not in TEXT) == []


@page
def test_every_command_of_a_page_can_be_typed(page: Path) -> None:
    wrong = []
    for line in shell_lines(page.read_text(encoding="utf-8")):
        if (found := called(line)) is None:
            continue
        name, words = found
        if name not in COMMANDS:
            wrong.append(f"{line.strip()}: there is no framewatch {name}")
        elif name == "kafka":
            wrong += [
                f"{line.strip()}: no such tool" for tool in words[:1] if tool.isalpha() and tool not in tool_names()
            ]
        else:
            flags = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
            wrong += [f"{line.strip()}: it has no {flag}" for flag in sorted(flags - options_of(COMMANDS[name]))]
    assert wrong == []


def test_commands_are_found_in_pages_at_all() -> None:
    found = {found[0] for line in shell_lines(TEXT) if (found := called(line))}
    assert found >= set(COMMANDS) - {"events"}  # which is a group, and nothing by itself


@page
def test_make_targets_and_scripts_of_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.M))
    lines = [line.split() for line in shell_lines(page.read_text(encoding="utf-8"))]
    made = {words[1] for words in lines if words[:1] == ["make"] and words[1:] and words[1].isalpha()}
    assert made - targets == set()
    scripts = {words[1] if words[0] == "python" else words[0] for words in lines if words[1:] or words}
    assert [name for name in scripts if name.startswith("scripts/") and not (REPOSITORY / name).exists()] == []


@page
def test_files_and_modules_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    new = set(re.findall(r"^`([^`]+)`, new:$", text, re.M))
    files = set(re.findall(r"`((?:src|tests|scripts|benchmarks|docs|videos)/[\w/.-]+)`", text)) - new
    assert sorted(name for name in files if not (REPOSITORY / name).exists()) == []
    for name in set(re.findall(r"`(framewatch(?:\.\w+)+)`", text)):
        module, _, attribute = name.rpartition(".")
        assert _is_module(name) or hasattr(import_module(module), attribute), name


def _is_module(name: str) -> bool:
    path = REPOSITORY / "src" / Path(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


@page
def test_variables_and_extras_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = {environment_name(field) for field in Settings.model_fields} | OF_TESTS
    assert set(re.findall(r"\bFRAMEWATCH_[A-Z_]*[A-Z]", text)) - known == set()
    named = {extra for group in re.findall(r"pip install [^`\n]*\[([\w,]+)\]", text) for extra in group.split(",")}
    named |= set(re.findall(r"\bextra `(\w+)`", text))
    assert named - EXTRAS == set()
    assert re.findall(r"pip install ['\"]?framewatch\b.*", text) == [], "no registry has it: install the checkout"


def test_every_extra_is_in_the_readme() -> None:
    readme = DOCS[0].read_text(encoding="utf-8")
    assert [extra for extra in sorted(EXTRAS - {"test"}) if f"`{extra}`" not in readme] == []


def test_every_setting_is_in_the_docs() -> None:
    assert [f for f in Settings.model_fields if environment_name(f) not in TEXT] == []


def test_the_settings_page_is_the_one_made_of_the_settings(tmp_path: Path) -> None:
    script, made = REPOSITORY / "scripts" / "write_settings_page.py", tmp_path / "settings.md"
    subprocess.run([sys.executable, script, made], check=True)
    assert made.read_text() == (REPOSITORY / "docs" / "settings.md").read_text()


def test_options_of_settings_are_options_of_some_command() -> None:
    flags = {flag for c in COMMANDS.values() for p in c.params for flag in p.opts}
    settings = (REPOSITORY / "docs" / "settings.md").read_text()
    named = re.findall(r"^\| `\w+` \| `(--[\w-]+)` \|", settings, re.M)
    assert len(named) > 15
    assert [flag for flag in named if flag not in flags] == []
    assert len(named) < len(Settings.model_fields)


def test_every_kafka_tool_is_in_the_docs() -> None:
    assert [tool for tool in tool_names() if tool not in TEXT] == []


@pytest.mark.parametrize("page", [*DOCS, CHANGES], ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {_anchor_of(heading) for heading in headings}, f"{link}#{anchor}"


def _anchor_of(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_readme_is_for_the_person_who_arrives() -> None:
    readme = DOCS[0].read_text(encoding="utf-8")
    assert len(readme.splitlines()) < 170
    start = readme[readme.index("## Quickstart") :].partition("\n## ")[0]
    first = re.findall(r"^```sh\n(.*?)^```", start, re.S | re.M)[0]
    assert [line.split("#")[0].split() for line in first.splitlines()] == [["make", "run"], ["make", "test"]]


def test_every_room_and_every_thread_is_in_the_architecture() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    sources = REPOSITORY / "src"
    rooms = {path.parent.name for path in sources.glob("*/__init__.py")}
    assert sorted(room for room in rooms if f"`{room}/`" not in text) == []
    drawn = text[text.index("Imports go downwards") :].split("```")[1].strip().splitlines()
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [sorted(line.replace("·", " ").split()) for line in drawn] == [
        sorted(layer.replace("|", " ").split()) for layer in layers
    ]
    threads = {name: path.name for path in sources.rglob("*.py") for name in threads_of(path)}
    assert len(threads) > 8
    assert sorted(f"{name} ({threads[name]})" for name in threads if f"`{name}" not in text) == []


def threads_of(path: Path) -> Iterator[str]:
    """Names of the threads that a file starts, as far as they stand there; a number at the end is left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Thread"):
            name = next((keyword.value for keyword in node.keywords if keyword.arg == "name"), None)
            if isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):
                name = name.values[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def test_the_rules_of_the_docs_can_be_loaded_and_the_example_of_an_alert_is_what_is_posted(tmp_path: Path) -> None:
    for name in ("README.md", "docs/activity.md"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        (tmp_path / "rules.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
        rules = load_rules(tmp_path / "rules.yaml")
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    breaches = Breaches(rules)
    since_us = example["start_us"] - round(example["seconds"] * 1e6)
    alerts = [
        alert
        for time_us in range(since_us, example["start_us"] + 1, 1_000_000)
        for alert in breaches.observe(example["stream"], time_us, {example["label"]: 1.0})
    ]
    assert [payload(alert) for alert in alerts] == [example]


def test_alerts_and_uploads_in_the_docs_are_such_as_there_are() -> None:
    alerts = [found for found in re.findall(r"\{[^{}]*\}", TEXT) if '"rule": ' in found and '"text": ' in found]
    assert len(alerts) >= 3
    for found in alerts:
        rule, stream, label, text = (
            re.findall(f'"{key}": "([^"]*)"', found)[0] for key in ("rule", "stream", "label", "text")
        )
        assert re.fullmatch(f"{label}( for .*)? on {stream} \\(rule {rule}\\)", text), text
    uploads = set(re.findall(r"\bupload-[0-9]\w*(?:-\w+)?", TEXT))
    assert uploads
    assert [name for name in uploads if not is_upload(name)] == []


def test_pre_commit_runs_what_make_lint_runs() -> None:
    config = (REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.*)", config) == ["make --no-print-directory lint"]
