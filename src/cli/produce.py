"""framewatch produce: a source to the topic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.options import json_option, print_json, with_settings
from errors import FramewatchError, SourceError
from producer.pace import MAX, NATIVE
from producer.produce import Plan
from producer.produce import produce as produce_source
from producer.publisher import Summary
from producer.source import Source
from producer.sources import open_source
from services.home import endpoints
from settings import Settings
from stack import stop_on_signals
from stream.kafka import ensure_topic, make_producer, wait_for_broker
from stream.names import new_run_id, stream_name_of

_MAX_FPS = 1000.0
_MAX_WAIT_S = 86_400.0


class Fps(click.ParamType[str | float]):
    """``native``, ``max`` or frames a second."""

    name = "native|max|N"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        """The word, or the number."""
        if value in (NATIVE, MAX):
            return value
        number = _number(value)
        if not 0 < number <= _MAX_FPS:
            self.fail(f"got {value!r}: native, max, or a number over 0 and at most {_MAX_FPS:.0f}", param, ctx)
        return number


class Seconds(click.ParamType[float]):
    """Seconds to wait, from 0 to a day."""

    name = "seconds"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = _number(value)
        if not 0 <= number <= _MAX_WAIT_S:
            self.fail(f"got {value!r}: a number of seconds, 0 to {_MAX_WAIT_S:.0f}", param, ctx)
        return number


def _number(value: str | float) -> float:
    """The number, or -1 for what is none."""
    try:
        return float(value)
    except ValueError:
        return -1.0


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
@click.option(
    "--wait",
    type=Seconds(),
    default=60.0,
    help="Seconds to wait for a Kafka or bucket that is not there; default 60.",
)
@with_settings("stream", "run", "topic", "quality", "max_side", "partitions", "replication")
@json_option
def produce(source: str, fps: str | float, loop: bool, wait: float, as_json: bool, settings: Settings) -> int:
    """Send SOURCE to the topic, frame by frame.

    SOURCE is a video file, a folder of videos or pictures, a webcam's index, an rtsp:// or http:// address, or
    pictures in a bucket: s3://bucket/test/. The exit code is 1 when the source ended early or a frame could not be
    delivered; to be stopped by Ctrl-C is no error.
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
        try:
            summary = _send(source, plan, settings, wait, stop, quiet=as_json)
        except FramewatchError:
            if not stop.is_set():
                raise
            summary = Summary(plan.stream, plan.run)  # stopped before the first frame
    _print(summary, as_json)
    if summary.error:
        raise FramewatchError(summary.error)
    return 1 if summary.failed else 0


def _send(source: str, plan: Plan, settings: Settings, wait_s: float, stop: Event, quiet: bool) -> Summary:
    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise SourceError("stopped")

    opened = open_source(source, pause, settings.object_access(), wait_s)
    kafka = endpoints(settings).kafka
    wait_for_broker(kafka, settings.kafka_options, wait_s, stop.is_set)
    ensure_topic(kafka, plan.topic, settings.partitions, settings.replication, settings.kafka_options)
    client = make_producer(kafka, settings.kafka_options)
    with _progress(opened, plan, quiet) as on_frame:
        return produce_source(opened, plan, client, stop.is_set, on_frame, stop.wait)


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
