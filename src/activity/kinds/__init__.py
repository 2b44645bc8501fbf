"""Kinds of rules: one file a kind, and its name in ``AnyRule``.

Knows no store, no stream and no clock: a kind has its keys, its texts and a timer.
"""

from __future__ import annotations

from typing import Final, get_args

from framewatch.activity.kinds.seen import SeenRule
from framewatch.activity.rule import Rule

AnyRule = SeenRule  # a new kind: SeenRule | CountRule

KINDS: Final[dict[str, type[Rule]]] = {
    each.model_fields["kind"].default: each for each in get_args(AnyRule) or (AnyRule,)
}
