"""What the docs say exists, and what exists is in the docs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from conftest import REPOSITORY
from framewatch.cli import cli
from framewatch.embedded.kafka import tool_names
from framewatch.settings import Settings

DOCS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCS)


def commands(command: click.Command, words: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command by the words that call it."""
    found = {" ".join(words): command} if words else {}
    if isinstance(command, click.Group):
        for name in command.list_commands(context := click.Context(command)):
            inner = command.get_command(context, name)
            assert inner is not None
            found |= commands(inner, (*words, name))
    return found


def test_every_command_is_in_the_docs() -> None:
    assert [words for words in commands(cli) if f"framewatch {words}" not in TEXT] == []


def test_every_option_is_in_the_docs() -> None:
    options = {flag for c in commands(cli).values() for p in c.params for flag in p.opts if flag.startswith("--")}
    assert sorted(flag for flag in options if flag not in TEXT) == []


def test_the_settings_page_is_the_one_made_of_the_settings(tmp_path: Path) -> None:
    script, made = REPOSITORY / "scripts" / "write_settings_page.py", tmp_path / "settings.md"
    subprocess.run([sys.executable, script, made], check=True)
    assert made.read_text() == (REPOSITORY / "docs" / "settings.md").read_text()


def test_options_of_settings_are_options_of_some_command() -> None:
    flags = {flag for c in commands(cli).values() for p in c.params for flag in p.opts}
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    named = re.findall(r"^\| `\w+` \| `(--[\w-]+)` \|", page, re.M)
    assert len(named) > 15
    assert [flag for flag in named if flag not in flags] == []
    assert len(named) < len(Settings.model_fields)


def test_every_kafka_tool_is_in_the_docs() -> None:
    assert [tool for tool in tool_names() if tool not in TEXT] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
