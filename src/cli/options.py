"""Options made of settings: their help, their variable and their limits stand in one place, settings.py."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from framewatch.model.times import parse_moment
from framewatch.settings import Settings, environment_name, load_settings

R = TypeVar("R")
_FILES = {"rules"}  # paths of files; all others are of folders


def with_settings(*fields: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give the command an option for each of the fields, and for home; it is called with ``settings``."""

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> R:
            given = {field: kwargs.pop(field) for field in ("home", *fields)}
            return command(*args, settings=load_settings(**given), **kwargs)

        with_options: Callable[..., R] = wrapped
        for field in reversed(("home", *fields)):
            with_options = _option(field)(with_options)
        return with_options

    return decorate


def _option(field: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    about = Settings.model_fields[field]
    flag = f"--{field.replace('_', '-')}"
    text = f"{(about.description or '')[:1].upper()}{(about.description or '')[1:]}."
    if about.annotation is bool:
        return click.option(flag, is_flag=True, default=None, help=f"{text}  [{environment_name(field)}]")
    default = "" if about.default is None or about.default_factory else f"; default {about.default}"
    help_text = f"{text}  [{environment_name(field)}{default}]"
    return click.option(flag, metavar=_metavar(field), default=None, help=help_text)


def _metavar(field: str) -> str:
    annotation = Settings.model_fields[field].annotation
    for kind, name in ((int, "N"), (float, "N")):
        if annotation is kind:
            return name
    if "Path" not in str(annotation):
        return "TEXT"
    return "FILE" if field in _FILES else "DIR"


class Moment(click.ParamType[int]):
    """A time as microseconds since 1970 UTC: ISO 8601 (local time unless it names a zone) or an age such as 15m."""

    name = "TIME"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time."""
        if isinstance(value, int):
            return value
        try:
            return parse_moment(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


MOMENT = Moment()
json_option = click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")


def print_json(figures: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(figures, indent=2, ensure_ascii=False, default=str))
