"""framewatch produce: a source to the topic."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from framewatch.cli.options import MOMENT, json_option, print_json, with_settings
from framewatch.embedded.signals import stop_on_signals, stop_without_reader
from framewatch.errors import FramewatchError, SettingError
from framewatch.model.names import new_run_id, stream_name_of
from framewatch.producer.pace import MAX, NATIVE
from framewatch.producer.produce import Plan
from framewatch.producer.publisher import Summary
from framewatch.producer.sources.base import Source
from framewatch.settings import Settings
from framewatch.wiring.producer import Job, run_producer

_MAX_FPS = 1000.0
_MAX_WAIT_S = 86_400.0
_EACH_LINE_S = 0.25

PRODUCER_SETTINGS = ("run", "topic", "group", "quality", "max_side", "partitions", "replication")


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


def _the_only(ctx: click.Context, param: click.Parameter, sources: tuple[str, ...]) -> str:  # noqa: ARG001
    """The source; a shell makes many of ``clips/*.mkv``."""
    if len(sources) > 1:
        raise click.UsageError(
            f"got {len(sources)} sources: one source at a time; `framewatch up` takes several, or name the folder",
            ctx,
        )
    return sources[0]


@click.command()
@click.argument("source", nargs=-1, required=True, metavar="SOURCE", callback=_the_only)
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
@click.option(
    "--start-at",
    type=MOMENT,
    help="Capture time of a recording's first picture; the others follow at its own pace, however fast it is sent.",
)
@click.option("--end-at", type=MOMENT, help="The same, counted back from the recording's end.")
@click.option("--max-frames", type=click.IntRange(1), help="Pictures after which the rest is left out, as an error.")
@click.option(
    "--max-pixels", type=click.IntRange(1), help="Pixels of a picture; a file with more is refused, not decoded."
)
@click.option(
    "--max-lag",
    type=click.IntRange(1),
    help="Frames of a recording that the group's workers may have yet to classify; with more, sending waits.",
)
@click.option(
    "--progress", "as_lines", is_flag=True, help="Print the progress as JSON lines; the last is the summary."
)
@with_settings("stream", *PRODUCER_SETTINGS)
@json_option
def produce(
    source: str,
    fps: str | float,
    loop: bool,
    wait: float,
    start_at: int | None,
    end_at: int | None,
    max_frames: int | None,
    max_pixels: int | None,
    max_lag: int | None,
    as_lines: bool,
    as_json: bool,
    settings: Settings,
) -> int:
    """Send SOURCE to the topic, frame by frame.

    SOURCE is a video file, a folder of videos or pictures, a webcam's index, an rtsp:// or http:// address, or
    pictures in a bucket: s3://bucket/test/. The exit code is 1 when the source ended early or a frame could not be
    delivered; to be stopped by Ctrl-C is no error.
    """
    if start_at is not None and end_at is not None:
        raise SettingError("--start-at and --end-at: got both, expected one of them")
    plan = Plan(
        topic=settings.topic,
        stream=settings.stream or stream_name_of(source),
        run=settings.run or new_run_id(),
        fps=fps,
        loop=loop,
        quality=settings.quality,
        max_side=settings.max_side,
        max_frames=max_frames,
    )
    job = Job(source, plan, wait, start_at, end_at, max_pixels, max_lag)
    try:
        summary = _run(job, settings, as_lines, as_json)
    except BrokenPipeError:
        return 1  # whoever asked for the progress is gone
    if summary.error:
        raise FramewatchError(summary.error)
    return 1 if summary.failed else 0


def _run(job: Job, settings: Settings, as_lines: bool, as_json: bool) -> Summary:
    """Send it, with its progress and summary printed."""
    progress = _lines if as_lines else _nothing if as_json else _bar
    with stop_on_signals() as stop, stop_without_reader(stop) if as_lines else nullcontext():
        try:
            summary = run_producer(job, settings, stop, progress)
        except FramewatchError as error:
            if not stop.is_set():
                if as_lines:
                    _print_line(Summary(job.plan.stream, job.plan.run, error=str(error)).as_json())
                raise
            summary = Summary(job.plan.stream, job.plan.run)  # stopped before the first frame
    if as_lines:
        _print_line(summary.as_json())
    else:
        _print(summary, as_json)
    return summary


@contextmanager
def _nothing(source: Source, plan: Plan) -> Iterator[Callable[[Summary], None]]:  # noqa: ARG001
    yield lambda summary: None


@contextmanager
def _lines(source: Source, plan: Plan) -> Iterator[Callable[[Summary], None]]:
    """For a program: the figures so far and how many frames there will be, some times a second."""
    total = None if plan.loop else source.count
    said_s = -_EACH_LINE_S

    def say(summary: Summary) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= _EACH_LINE_S:
            said_s = time.monotonic()
            _print_line(summary.as_json() | {"total": total})

    yield say


def _print_line(figures: dict[str, object]) -> None:
    click.echo(json.dumps(figures))


@contextmanager
def _bar(source: Source, plan: Plan) -> Iterator[Callable[[Summary], None]]:
    """A bar for a person at a terminal; nothing for anybody else."""
    console = Console(stderr=True)
    if not console.is_terminal:
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
