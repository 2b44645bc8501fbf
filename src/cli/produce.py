"""framewatch produce: a source to the topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.options import json_option, print_json, with_settings
from errors import SourceError
from producer.pace import MAX, NATIVE
from producer.produce import Plan
from producer.produce import produce as produce_source
from producer.publisher import Summary
from producer.sources import Source, open_source
from services.home import endpoints
from settings import Settings
from stack import stop_on_signals
from stream.kafka import ensure_topic, make_producer, wait_for_broker
from stream.names import new_run_id, stream_name_of

BROKER_WAIT_S = 60.0
_MAX_FPS = 1000.0


class Fps(click.ParamType[str | float]):
    """``native``, ``max`` or frames a second."""

    name = "native|max|N"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        """The word, or the number."""
        if value in (NATIVE, MAX):
            return value
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 < number <= _MAX_FPS:
            self.fail(f"got {value!r}: native, max, or a number over 0 and at most {_MAX_FPS:.0f}", param, ctx)
        return number


FPS = Fps()


@click.command()
@click.argument("source")
@click.option(
    "--fps",
    type=FPS,
    default=NATIVE,
    help="Pace: native (as recorded, the default), max, or frames a second.",
)
@click.option("--loop", is_flag=True, help="Start again at the end, until stopped.")
@with_settings("stream", "run", "topic", "quality", "max_side", "partitions", "replication")
@json_option
def produce(source: str, fps: str | float, loop: bool, as_json: bool, settings: Settings) -> int:
    """Send SOURCE to the topic, frame by frame.

    SOURCE is a video file, a folder of videos or pictures, a webcam's index, or an rtsp:// or http:// address.
    """
    plan = Plan(
        topic=settings.topic,
        stream=settings.stream or stream_name_of(source),
        run=settings.run or new_run_id(),
        fps=fps,
        loop=loop,
        quality=settings.quality,
        max_side=settings.max_side,
    )
    with stop_on_signals() as stop:

        def pause(seconds: float) -> None:
            if stop.wait(seconds):
                raise SourceError("stopped")

        opened = open_source(source, pause)
        kafka = endpoints(settings).kafka
        wait_for_broker(kafka, settings.kafka_options, BROKER_WAIT_S, stop.is_set)
        ensure_topic(kafka, plan.topic, settings.partitions, settings.replication, settings.kafka_options)
        client = make_producer(kafka, settings.kafka_options)
        with _progress(opened, plan, quiet=as_json) as on_frame:
            summary = produce_source(opened, plan, client, stop.is_set, on_frame)
    _print(summary, as_json)
    if summary.error and not stop.is_set():
        raise SourceError(summary.error)
    return 1 if summary.failed else 0


@contextmanager
def _progress(source: Source, plan: Plan, quiet: bool) -> Iterator[Callable[[Summary], None]]:
    """A bar for a person at a terminal; nothing for anybody else."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda summary: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = None if plan.loop else source.count
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(plan.stream, total=total)
        yield lambda summary: bar.update(task, completed=summary.frames_read)


def _print(summary: Summary, as_json: bool) -> None:
    if as_json:
        print_json(summary.as_json())
        return
    dropped = f", {summary.dropped} left out" if summary.dropped else ""
    click.echo(
        f"{summary.stream} (run {summary.run}): {summary.frames_read} frames read, {summary.delivered} delivered, "
        f"{summary.failed} failed{dropped}, {summary.megabytes:.1f} MB in {summary.seconds:.1f} s, "
        f"{summary.megabytes_per_second:.1f} MB/s"
    )
