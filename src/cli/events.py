"""framewatch events: what was seen, as a table, as documents, as files, as counts."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from framewatch.cli.formatting import file_name, json_line, shown, table_header, table_row
from framewatch.cli.options import MOMENT, json_option, with_settings
from framewatch.embedded.home import endpoints
from framewatch.errors import BadPicture, FramewatchError, SettingError
from framewatch.model.filters import EventFilter
from framewatch.settings import Settings
from framewatch.storage.interface import Document, Erased
from framewatch.storage.open import open_store
from framewatch.vision.jpeg import decode_img

_TABLE_ROWS = 20
_NAMED = 5  # documents without a time, named at the end of a list


class Words(click.ParamType[str]):
    """Text that can stand in an event."""

    name = "TEXT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text."""
        try:
            value.encode()  # a command line may hold bytes that are no UTF-8
        except UnicodeEncodeError:
            self.fail(f"got {value!a}: expected UTF-8 text", param, ctx)
        return value


WORDS = Words()
_stream = click.option("--stream", type=WORDS, help="Only of this stream.")
_label = click.option("--label", type=WORDS, help="Only with this label.")
_since = click.option("--since", type=MOMENT, help="Captured at or after: ISO 8601, or an age such as 15m, 2h, 7d.")
_until = click.option("--until", type=MOMENT, help="Captured before.")
_min_confidence = click.option(
    "--min-confidence", type=click.FloatRange(0, 1), help="This confidence or more, 0 to 1."
)


@click.group()
def events() -> None:
    """Find stored events again."""


@events.command("list")
@_stream
@_label
@_since
@_until
@_min_confidence
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"At most so many, newest first.  [default: {_TABLE_ROWS} for a table, else all]",
)
@click.option("--raw", is_flag=True, help="Whole documents as JSON lines.")
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), help="Write the crops to this folder.")
@with_settings("database")
def list_events(
    stream: str | None, label: str | None, since: int | None, until: int | None, min_confidence: float | None,
    limit: int | None, raw: bool, images: Path | None, settings: Settings,
) -> None:  # fmt: skip
    """Newest events as a table, as documents (--raw) or as picture files (--images)."""
    if raw and images is not None:
        raise click.UsageError("got --raw and --images: expected one of them")
    where = _checked(EventFilter(stream, label, since, until, min_confidence))
    with open_store(endpoints(settings).mongodb, settings.database) as store, _output():
        queries = store.events
        if raw:
            for document in queries.documents(where, limit):
                click.echo(json_line(document))
        elif images is not None:
            _write_images(queries.documents(where, limit), images)
        else:
            rows = _print_table(queries.documents(where, limit or _TABLE_ROWS))
            if rows == _TABLE_ROWS and limit is None:
                click.echo(f"the newest {rows}: --limit N shows others, --raw and --images take all", err=True)
        if untimed := queries.untimed(_NAMED):
            named = ", ".join(shown(document_id) for document_id in untimed)
            click.echo(f"documents without a number time_us are in no list, such as {named}", err=True)


@events.command()
@_stream
@_label
@_since
@_until
@_min_confidence
@with_settings("database")
@json_option
def count(
    stream: str | None, label: str | None, since: int | None, until: int | None, min_confidence: float | None,
    as_json: bool, settings: Settings,
) -> None:  # fmt: skip
    """Events of each label."""
    where = _checked(EventFilter(stream, label, since, until, min_confidence))
    with open_store(endpoints(settings).mongodb, settings.database) as store, _output():
        counts = store.events.counts(where)
        if as_json:
            click.echo(json_line(counts))
            return
        for name, n in counts.items():
            click.echo(f"{n:>10}  {shown(name)}")
        if not counts:
            click.echo("no events")


@events.command()
@_stream
@_label
@_since
@_until
@click.option("--yes", is_flag=True, help="Do it; without, only say how many it would be.")
@with_settings("database")
def delete(
    stream: str | None, label: str | None, since: int | None, until: int | None,
    yes: bool, settings: Settings,
) -> None:  # fmt: skip
    """Delete events of a stream, a label or a period: crops, episodes and alerts too.

    An episode that is longer than the period is cut. Frames that Kafka still keeps stay there.
    """
    if (stream, label, since, until) == (None, None, None, None):
        raise click.UsageError("expected at least one of --stream, --label, --since, --until")
    now = MOMENT.convert("0s", None, None)
    where = _checked(EventFilter(stream, label, since, now if until is None else until))
    with open_store(endpoints(settings).mongodb, settings.database) as store, _output():
        if yes:
            click.echo(f"{_told(store.erase(where))} deleted")
        else:
            click.echo(f"{_told(store.erasable(where))} would be deleted: --yes does it")


def _told(erased: Erased) -> str:
    return f"{erased.events} events, {erased.episodes} episodes, {erased.alerts} alerts"


def _checked(where: EventFilter) -> EventFilter:
    if where.since_us is not None and where.until_us is not None and where.since_us >= where.until_us:
        raise click.UsageError("got a --since that is not before --until: no event can be in that period")
    return where


@contextmanager
def _output() -> Iterator[None]:
    """Print for as long as somebody reads, in whatever characters the output can carry."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough. Python flushes once more at exit: to where that does no harm.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise FramewatchError(f"the output cannot be written: {error.strerror}") from None


def _print_table(documents: Iterable[Document]) -> int:
    """A line for each event, printed as it comes; how many."""
    rows = 0
    for rows, document in enumerate(documents, 1):
        if rows == 1:
            click.echo(table_header())
        click.echo(table_row(document))
    if not rows:
        click.echo("no events")
    return rows


def _write_images(documents: Iterable[Document], folder: Path) -> None:
    """Each crop as a .jpg named after its event; what is no picture is named on standard error."""
    written = none = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for document in documents:
            if not document.get("crop"):
                none += 1
                continue
            try:
                crop = base64.b64decode(document["crop"], validate=True)
                decode_img(crop)
            except (TypeError, ValueError, BadPicture) as error:
                click.echo(f"{shown(document['_id'])}: its crop is no picture: {shown(error)}", err=True)
                continue
            (folder / file_name(document["_id"])).write_bytes(crop)
            written += 1
    except OSError as error:
        raise SettingError(f"--images: got {str(folder)!r}: {error.strerror}") from None
    click.echo(f"{written} pictures written to {folder}" + (f", {none} events have none" if none else ""))
