"""Rules out of a file that people wrote, and whether they can ever be broken."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from pydantic import ValidationError

from framewatch.activity.kinds import KINDS
from framewatch.activity.rule import Rule
from framewatch.activity.rulefile import WrittenRule, read_rules
from framewatch.errors import SettingError

_DEFAULT_KIND: Final = "seen"
_MAX_COMPLAINTS: Final = 5


def parse_rules(content: bytes, source: str, kinds: Mapping[str, type[Rule]] = KINDS) -> tuple[Rule, ...]:
    """The rules of a YAML file, as docs/activity.md describes it.

    Args:
        content: of the file.
        source: its name, for messages.
        kinds: of rules that there may be, by name.

    Raises:
        SettingError: the file cannot be used; one line names it, the rule, the key, what was got and what is allowed.
    """
    rules: list[Rule] = []
    complaints: list[str] = []
    names: set[str] = set()
    keys = {kind: set(each.model_fields) for kind, each in kinds.items()}
    for written in read_rules(content, source, keys, _DEFAULT_KIND):
        try:
            rule = kinds[written.kind].model_validate(written.values)
        except ValidationError as error:
            complaints.append(_complaint(written, error))
            continue
        if rule.name in names:
            complaints.append(f"{written.where}: name: got {rule.name!r} once more: expected each name once")
        names.add(rule.name)
        rules.append(rule)
    if complaints:
        more = len(complaints) - _MAX_COMPLAINTS
        raise SettingError("; ".join(complaints[:_MAX_COMPLAINTS]) + (f"; and {more} more" if more > 0 else ""))
    return tuple(rules)


def unknown_labels(rules: Iterable[Rule], labels: Collection[str]) -> list[str]:
    """A line for each rule whose label the classifier does not have, with the nearest one it has.

    Args:
        rules: any.
        labels: all that the classifier can give; none of them stands for a classifier that does not say.
    """
    lines = []
    for rule in rules:
        if labels and rule.label not in labels:
            near = difflib.get_close_matches(rule.label, labels, n=1)
            hint = f"is {near[0]!r} meant?" if near else f"it has {', '.join(sorted(labels)[:20])}"
            lines.append(f"rule {rule.name!r}: label: got {rule.label!r}, which the model has not: {hint}")
    return lines


def _complaint(written: WrittenRule, error: ValidationError) -> str:
    """The first thing wrong with a rule: its key as written, what was got, what is allowed."""
    problem = error.errors()[0]
    key = str(problem["loc"][0])
    if problem["type"] == "missing":
        return f"{written.where}: the key {key.replace('_', ' ')!r} is missing"
    text = problem["msg"].removeprefix("Value error, ")
    got = str(problem["input"])
    got = got if len(got) <= 80 else f"{got[:80]}…"
    return f"{written.where}: {written.keys.get(key, key)}: got {got!r}: {text[:1].lower()}{text[1:]}"
