"""The file of rules."""

from __future__ import annotations

from pathlib import Path

from framewatch.activity.rule import Rule
from framewatch.activity.rulefile import MAX_BYTES
from framewatch.activity.rules import parse_rules
from framewatch.errors import SettingError


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a YAML file, as docs/activity.md describes it.

    Raises:
        SettingError: the file cannot be used; one line names it, the rule, the key, what was got and what is allowed.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingError(f"{path}: cannot be read as a file of rules: {error.strerror or error}") from None
    return parse_rules(content, str(path))
