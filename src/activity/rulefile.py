"""A YAML file of rules as plain text values: nothing in it is ever made into anything but text and lists of text."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

from framewatch.errors import SettingError

MAX_BYTES: Final = 1_000_000
MAX_RULES: Final = 1000
_MAX_ITEMS: Final = 1000  # of a list

Value = str | list[str]


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """One rule as somebody wrote it.

    Attributes:
        where: file, number, name where it has one, and line, for messages.
        kind: of the rule.
        values: text, or list of texts, by key; keys in small letters with underscores.
        keys: the keys as they were written.
    """

    where: str
    kind: str
    values: dict[str, Value]
    keys: dict[str, str]


def read_rules(
    content: bytes, source: str, keys: Mapping[str, Collection[str]], default_kind: str
) -> list[WrittenRule]:
    """The rules of a file, in order, their values not checked yet.

    The YAML is parsed and nothing is constructed from it, so tags run nothing, and an alias stands for what it names
    without being multiplied: a small file cannot become a large one.

    Args:
        content: of the file, at most a megabyte of UTF-8.
        source: its name, for messages.
        keys: that a rule may have, with underscores, of each kind of rule.
        default_kind: of rules that name none.

    Raises:
        SettingError: it is no YAML or no list of rules, or a rule has a key twice, an unknown key or an unknown kind.
    """
    root = _parsed(content, source)
    if not isinstance(root, yaml.MappingNode):
        raise SettingError(f"{source}: got {_kind(root)}: expected the key rules: with a list of rules")
    top = _fields(source, root, {"rules"})
    if "rules" not in top:
        raise SettingError(f"{source}: the key rules: is missing, with a list of rules")
    rules = top["rules"][1]
    if not isinstance(rules, yaml.SequenceNode):
        raise SettingError(f"{source}: rules: got {_kind(rules)}: expected a list, each rule after a dash")
    if len(rules.value) > MAX_RULES:
        raise SettingError(f"{source}: rules: got {len(rules.value)}: expected at most {MAX_RULES}")
    return [_written(source, number, node, keys, default_kind) for number, node in enumerate(rules.value, 1)]


def _parsed(content: bytes, source: str) -> yaml.Node | None:
    if len(content) > MAX_BYTES:
        raise SettingError(f"{source}: got more than {MAX_BYTES} bytes: expected a file of rules of at most so many")
    try:
        node: yaml.Node | None = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise SettingError(f"{source}: got bytes that are no UTF-8, from byte {error.start} on") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingError(f"{source}{line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SettingError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SettingError(f"{source}: lists within lists too deep to read: expected a list of rules") from None
    return node


def _written(
    source: str, number: int, node: yaml.Node, keys: Mapping[str, Collection[str]], default_kind: str
) -> WrittenRule:
    line = node.start_mark.line + 1
    where = f"{source}: rule {number}, line {line}"
    if not isinstance(node, yaml.MappingNode):
        raise SettingError(f"{where}: got {_kind(node)}: expected keys such as name: and label:")
    name = next((value.value for key, value in node.value if key.value == "name"), None)
    if isinstance(name, str) and name:
        where = f"{source}: rule {number} ({_short(name)}), line {line}"
    kind = next((_text(where, "kind", value) for key, value in node.value if _plain(key) == "kind"), default_kind)
    if kind not in keys:
        raise SettingError(f"{where}: kind: got {_short(kind)!r}: {_hint(kind, keys)}")
    others = {key: other for other in keys for key in keys[other]}
    fields = _fields(where, node, keys[kind], others)
    return WrittenRule(
        where,
        kind,
        {key: _value(where, written, value) for key, (written, value) in fields.items()},
        {key: written for key, (written, _) in fields.items()},
    )


def _fields(
    where: str, node: yaml.MappingNode, known: Collection[str], others: Mapping[str, str] | None = None
) -> dict[str, tuple[str, yaml.Node]]:
    """Values with their keys as written, by the keys' plain form.

    Args:
        where: for messages.
        node: has keys and values.
        known: the keys it may have.
        others: keys of other kinds of rules, with a kind that has each.
    """
    fields: dict[str, tuple[str, yaml.Node]] = {}
    for key, value in node.value:
        written = _short(key.value) if isinstance(key, yaml.ScalarNode) else _kind(key)
        plain = _plain(key)
        if plain not in known:
            if others and plain in others:
                raise SettingError(f"{where}: {written}: is a key of rules with kind: {others[plain]}")
            raise SettingError(f"{where}: got the unknown key {written!r}: {_hint(plain, known)}")
        if plain in fields:
            raise SettingError(f"{where}: {written}: got this key twice: expected it once")
        fields[plain] = written, value
    return fields


def _plain(key: yaml.Node) -> str:
    """A key in small letters with underscores."""
    written = _short(key.value) if isinstance(key, yaml.ScalarNode) else _kind(key)
    return "_".join(written.lower().replace("-", " ").replace("_", " ").split())


def _hint(got: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.5)
    if near:
        return f"is {near[0].replace('_', ' ')!r} meant?"
    return f"expected one of {', '.join(each.replace('_', ' ') for each in sorted(known))}"


def _value(where: str, key: str, node: yaml.Node) -> Value:
    if isinstance(node, yaml.SequenceNode):
        if not 0 < len(node.value) <= _MAX_ITEMS:
            raise SettingError(f"{where}: {key}: got {len(node.value)} items: expected 1 to {_MAX_ITEMS}")
        return [_text(where, key, item) for item in node.value]
    return _text(where, key, node)


def _text(where: str, key: str, node: yaml.Node) -> str:
    """The text as it stands in the file: so a label may be no, and 22:00 is no number."""
    if not isinstance(node, yaml.ScalarNode):
        raise SettingError(f"{where}: {key}: got {_kind(node)}: expected a text or a number")
    if node.value == "":
        raise SettingError(f"{where}: {key}: got nothing: expected a value, or the key left out")
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
