"""framewatch events: what was seen, as a table, as documents, as files, as counts."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cli.options import json_option, print_json, with_settings
from errors import SettingError
from services.home import endpoints
from settings import Settings
from storage.events import Document
from storage.mongo import connect
from storage.queries import EventFilter, EventQueries

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_UNSAFE = re.compile(r"[^\w.@-]+")


class Moment(click.ParamType[int]):
    """A time as microseconds since 1970 UTC: ISO 8601 (local time unless it names a zone) or an age such as 15m."""

    name = "TIME"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The time."""
        if isinstance(value, int):
            return value
        if age := re.fullmatch(r"(\d{1,6})([smhdw])", value):
            moment = datetime.now(UTC) - timedelta(seconds=int(age[1]) * _UNITS[age[2]])
        else:
            try:
                moment = datetime.fromisoformat(value).astimezone(UTC)
            except (ValueError, OverflowError):
                self.fail(
                    f"got {value!r}: a time such as 2026-11-21T10:15:00+00:00, or an age such as 90s, 15m, 2h, 7d",
                    param,
                    ctx,
                )
        since_1970 = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return since_1970 // timedelta(microseconds=1)


MOMENT = Moment()
filters = (
    click.option("--stream", help="Only of this stream."),
    click.option("--label", help="Only with this label."),
    click.option("--since", type=MOMENT, help="Captured at or after: ISO 8601, or an age such as 15m, 2h, 7d."),
    click.option("--until", type=MOMENT, help="Captured before."),
)


def _filtered(command: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(filters):
        command = option(command)
    return command


@click.group()
def events() -> None:
    """Find stored events again."""


@events.command("list")
@_filtered
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="At most so many, newest first.  [default: 20 for a table, else all]",
)
@click.option("--raw", is_flag=True, help="Whole documents as JSON lines.")
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), help="Write the crops to this folder.")
@with_settings("database")
def list_events(
    stream: str | None, label: str | None, since: int | None, until: int | None,
    limit: int | None, raw: bool, images: Path | None, settings: Settings,
) -> None:  # fmt: skip
    """Newest events as a table, as documents (--raw) or as picture files (--images)."""
    queries, where = _queries(settings), EventFilter(stream, label, since, until)
    if raw:
        for document in queries.documents(where, limit):
            click.echo(json.dumps(document, ensure_ascii=False, default=str))
    elif images is not None:
        click.echo(f"{_write_images(queries.documents(where, limit), images)} pictures written to {images}")
    else:
        _print_table(queries.documents(where, limit or 20))


@events.command()
@_filtered
@with_settings("database")
@json_option
def count(
    stream: str | None,
    label: str | None,
    since: int | None,
    until: int | None,
    as_json: bool,
    settings: Settings,
) -> None:
    """Events of each label."""
    counts = _queries(settings).counts(EventFilter(stream, label, since, until))
    if as_json:
        print_json(counts)
        return
    table = Table("label", "events")
    for name, n in counts.items():
        table.add_row(name, str(n))
    Console().print(table if counts else "no events")


def _queries(settings: Settings) -> EventQueries:
    return EventQueries(connect(endpoints(settings).mongodb)[settings.database])


def _print_table(documents: Iterator[Document]) -> None:
    table = Table("time", "stream", "frame", "label", "confidence", "box", "picture (base64)")
    rows = 0
    for document in documents:
        rows += 1
        crop = str(document.get("crop") or "")
        box = document.get("boundingbox")
        table.add_row(
            f"{document['timestamp']:%Y-%m-%d %H:%M:%S}",
            document["stream"],
            str(document["frame"]),
            document["label"],
            f"{document['confidence']:.2f}",
            " ".join(map(str, box)) if box else "whole frame",
            f"{crop[:16]}… ({len(crop)})" if crop else "",
        )
    console = Console()
    console.print(table if rows else "no events")


def _write_images(documents: Iterator[Document], folder: Path) -> int:
    """Each crop as a .jpg named after its event; how many were written."""
    written = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for document in documents:
            try:
                crop = base64.b64decode(document.get("crop") or "", validate=True)
            except binascii.Error as error:
                click.echo(f"{document['_id']}: its crop is not base64: {error}", err=True)
                continue
            if crop:
                (folder / f"{_UNSAFE.sub('_', str(document['_id']))}.jpg").write_bytes(crop)
                written += 1
    except OSError as error:
        raise SettingError(f"--images: got {str(folder)!r}: {error.strerror}") from None
    return written
