"""A YAML file of rules as plain text values: nothing in it is ever made into anything but text and lists of text."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from framewatch.errors import SettingError

MAX_BYTES: Final = 1_000_000
MAX_RULES: Final = 1000
_MAX_ITEMS: Final = 1000  # of a list

Value = str | list[str]


@dataclass(frozen=True, slots=True)
class Written:
    """One rule as somebody wrote it.

    Attributes:
        place: file, number, name where it has one, and line, for messages.
        values: text, or list of texts, by key; keys in small letters with underscores.
        keys: the keys as they were written.
    """

    place: str
    values: dict[str, Value]
    keys: dict[str, str]


def read_rule_file(path: Path, known: Collection[str]) -> list[Written]:
    """The rules of a file, in order, their values not looked at yet.

    The YAML is parsed and nothing is constructed from it, so tags run nothing, and an alias stands for what it names
    without being multiplied: a small file cannot become a large one.

    Args:
        path: of the file, at most a megabyte of UTF-8.
        known: the keys that a rule may have, with underscores.

    Raises:
        SettingError: the file cannot be read, is no YAML or no list of rules, or has a key twice or an unknown one.
    """
    root = _parsed(path)
    if not isinstance(root, yaml.MappingNode):
        raise SettingError(f"{path}: got {_kind(root)}: expected the key rules: with a list of rules")
    top = _fields(str(path), root, {"rules"})
    if "rules" not in top:
        raise SettingError(f"{path}: the key rules: is missing, with a list of rules")
    rules = top["rules"][1]
    if not isinstance(rules, yaml.SequenceNode):
        raise SettingError(f"{path}: rules: got {_kind(rules)}: expected a list, each rule after a dash")
    if len(rules.value) > MAX_RULES:
        raise SettingError(f"{path}: rules: got {len(rules.value)}: expected at most {MAX_RULES}")
    return [_written(path, number, node, known) for number, node in enumerate(rules.value, 1)]


def _parsed(path: Path) -> yaml.Node | None:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingError(f"{path}: cannot be read as a file of rules: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise SettingError(f"{path}: got more than {MAX_BYTES} bytes: expected a file of rules of at most so many")
    try:
        node: yaml.Node | None = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise SettingError(f"{path}: got bytes that are no UTF-8, from byte {error.start} on") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingError(f"{path}{line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SettingError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SettingError(f"{path}: lists within lists too deep to read: expected a list of rules") from None
    return node


def _written(path: Path, number: int, node: yaml.Node, known: Collection[str]) -> Written:
    line = node.start_mark.line + 1
    place = f"{path}: rule {number}, line {line}"
    if not isinstance(node, yaml.MappingNode):
        raise SettingError(f"{place}: got {_kind(node)}: expected keys such as name: and label:")
    name = next((value.value for key, value in node.value if key.value == "name"), None)
    if isinstance(name, str) and name:
        place = f"{path}: rule {number} ({_short(name)}), line {line}"
    fields = _fields(place, node, known)
    return Written(
        place,
        {key: _value(place, written, value) for key, (written, value) in fields.items()},
        {key: written for key, (written, _) in fields.items()},
    )


def _fields(place: str, node: yaml.MappingNode, known: Collection[str]) -> dict[str, tuple[str, yaml.Node]]:
    """Values with their keys as written, by the keys' plain form."""
    fields: dict[str, tuple[str, yaml.Node]] = {}
    for key, value in node.value:
        written = _short(key.value) if isinstance(key, yaml.ScalarNode) else _kind(key)
        plain = "_".join(written.lower().replace("-", " ").replace("_", " ").split())
        if plain not in known:
            near = difflib.get_close_matches(plain, known, n=1, cutoff=0.5)
            allowed = ", ".join(each.replace("_", " ") for each in sorted(known))
            hint = f"is {near[0].replace('_', ' ')!r} meant?" if near else f"expected one of {allowed}"
            raise SettingError(f"{place}: got the unknown key {written!r}: {hint}")
        if plain in fields:
            raise SettingError(f"{place}: {written}: got this key twice: expected it once")
        fields[plain] = written, value
    return fields


def _value(place: str, key: str, node: yaml.Node) -> Value:
    if isinstance(node, yaml.SequenceNode):
        if not 0 < len(node.value) <= _MAX_ITEMS:
            raise SettingError(f"{place}: {key}: got {len(node.value)} items: expected 1 to {_MAX_ITEMS}")
        return [_text(place, key, item) for item in node.value]
    return _text(place, key, node)


def _text(place: str, key: str, node: yaml.Node) -> str:
    """The text as it stands in the file: so a label may be no, and 22:00 is no number."""
    if not isinstance(node, yaml.ScalarNode):
        raise SettingError(f"{place}: {key}: got {_kind(node)}: expected a text or a number")
    if node.value == "":
        raise SettingError(f"{place}: {key}: got nothing: expected a value, or the key left out")
    return str(node.value)


def _kind(node: yaml.Node | None) -> str:
    if isinstance(node, yaml.MappingNode):
        return "keys with values"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return repr(_short(node.value)) if node is not None and node.value else "nothing"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:80]}…"
