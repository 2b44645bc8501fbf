"""framewatch train: from labelled pictures to a bundle that can be served."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from framewatch.cli.options import with_settings
from framewatch.errors import FramewatchError, SettingError, install_hint
from framewatch.settings import Settings
from framewatch.vision.models.bundle import Manifest

if TYPE_CHECKING:
    from framewatch.training.fit.callbacks import EpochReport
    from framewatch.training.train import Plan

ARCHITECTURES: Final = ("efficientnet", "cnn", "mobilenet", "mobilenet-lstm", "deepface", "emotion")
_OF_RECIPE: Final = ("epochs", "batch_size", "learning_rate", "optimizer", "label_smoothing", "balance", "patience")
_OF_PLAN: Final = ("seed", "precision", "positive", "terms", "pictures", "compact", "purpose", "origin", "limits")
_INSTALL: Final = f": {install_hint('training')}"


class _Within(click.FloatRange):
    """A number in a range, which "nan" is not, though it is neither below nor above it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


@click.command()
@click.argument("architecture", type=click.Choice(ARCHITECTURES))
@click.option("--data", required=True, metavar="SOURCE", help="Folder, table, .npz file or s3://bucket/prefix/.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Of the bundle: models/NAME."
)
@click.option("--epochs", type=click.IntRange(0, 10_000), help="At most so many; 0 takes --weights as they are.")
@click.option("--batch-size", type=click.IntRange(2, 4096), help="Samples a step.")
@click.option("--learning-rate", type=_Within(0, 1, min_open=True), help="At its highest.")
@click.option("--optimizer", type=click.Choice(["adam", "adamw"]), help="What changes the weights.")
@click.option("--label-smoothing", type=_Within(0, 0.5), help="Part of the truth spread over all labels.")
@click.option("--size", type=click.IntRange(32, 512), help="Sides of the pictures in pixels.")
@click.option("--grey", is_flag=True, help="Show it grey pictures, whatever their colours.")
@click.option("--sequence", type=click.IntRange(1, 64), help="Frames in a sample, for mobilenet-lstm; default 1.")
@click.option("--balance/--no-balance", default=None, help="Whether rare labels count more.")
@click.option("--patience", type=click.IntRange(1, 10_000), help="Epochs without improvement until it ends.")
@click.option("--weights", metavar="imagenet|none|FILE", help="What to start from; FILE may be a bundle's folder.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, help="Of everything random; default 1.")
@click.option("--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", help="Default auto.")
@click.option("--name", help="Name of the model; the folder's when not given.")
@click.option("--subject", type=click.Choice(["frame", "face"]), help="What is shown to it when it serves.")
@click.option("--margin", type=_Within(-0.4, 1.0), default=0.0, help="Part by which a face's box grows.")
@click.option("--positive", metavar="LABEL", help="Of two labels, the one that is looked for.")
@click.option("--terms", default="", help="Terms under which the data may be used, for the card.")
@click.option("--purpose", default="", help="What the model is meant for, for the card.")
@click.option("--origin", default="", help="How the weights it starts from were made, for the card.")
@click.option("--limit", "limits", multiple=True, help="What it is known not to do, for the card; repeatable.")
@click.option("--compact", is_flag=True, help="Write one small file to serve: no training goes on from it.")
@click.option("--pictures/--no-pictures", default=True, help="Put some of the data's pictures into the bundle.")
@click.option("--fresh", is_flag=True, help="Drop an unfinished training of this bundle.")
@click.option("--force", is_flag=True, help="Replace the bundle that is there.")
@with_settings("aws_endpoint_url", "aws_region")
def train(architecture: str, out: Path, fresh: bool, force: bool, settings: Settings, **options: Any) -> None:
    """Train ARCHITECTURE on labelled pictures.

    efficientnet, cnn, mobilenet and mobilenet-lstm look at whole frames, deepface and emotion at faces. Killed or
    stopped by Ctrl-C, the same command goes on where it was; until the bundle is complete, everything stands in
    DIR.partial.
    """
    began = time.monotonic()
    with _Shown() as shown:
        try:
            _import_quietly()
            from framewatch.training.train import train as train_bundle  # noqa: PLC0415

            plan = _plan(architecture, out, options)
            bundle = train_bundle(plan, settings.object_access(), shown, fresh, force)
        except KeyboardInterrupt:
            shown.say("stopped: the same command goes on where it was; --fresh begins anew")
            raise
    seconds = time.monotonic() - began
    click.echo(f"{bundle.model} is ready after {seconds:.0f} s: framewatch up --model {out}")


def _import_quietly() -> None:
    """TensorFlow takes seconds, of which only who trains should know, and talks.

    Raises:
        FramewatchError: it, or another package that is needed sooner or later, is not installed.
    """
    from framewatch.training.fit.tf_logging import silent_stderr  # noqa: PLC0415

    try:
        with silent_stderr():
            from framewatch.training.export import PACKAGES  # noqa: PLC0415  # packages that serving does without
            from framewatch.training.fit.precision import device_name  # noqa: PLC0415
            from framewatch.training.train import Plan  # noqa: F401, PLC0415  # and with it all that a training imports

            device_name()
        missing = next((package for package in PACKAGES if find_spec(package) is None), None)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
    if missing:
        raise FramewatchError(f"framewatch train needs {missing}, which is not installed{_INSTALL}")


def _plan(architecture: str, out: Path, options: dict[str, Any]) -> Plan:
    from framewatch.training.architectures.recipes import RECIPES  # noqa: PLC0415
    from framewatch.training.architectures.weights import IMAGENET, NONE  # noqa: PLC0415
    from framewatch.training.train import Plan  # noqa: PLC0415

    recipe = RECIPES[architecture]
    size, frames = options["size"], options["sequence"]
    if frames is not None and frames > 1 and not recipe.sequences:
        raise SettingError(f"--sequence: {architecture} looks at one frame at a time; mobilenet-lstm takes several")
    subject, margin = options["subject"] or recipe.subject, options["margin"]
    if frames is not None and frames > 1 and subject == "face":
        raise SettingError("--subject: a model of faces is shown one picture at a time: say no --sequence with it")
    if margin and subject != "face":
        raise SettingError(f"--margin: got {margin:g}: the whole frame is shown to it, only a face has a margin")
    if options["epochs"] == 0 and (options["weights"] or NONE) in {NONE, IMAGENET}:
        raise SettingError("--epochs: got 0: name by --weights what is to be taken as it is")
    if options["grey"] and architecture.startswith("mobilenet"):
        raise SettingError(f"--grey: {architecture} looks at colours")
    changed = {"width": size, "height": size} if size else {}
    changed |= {"channels": 1} if options["grey"] else {}
    spec = recipe.input.model_copy(update={**changed, "frames": frames or 1})
    given = {name: options[name] for name in _OF_RECIPE if options[name] is not None}
    try:
        manifest = Manifest(
            name=options["name"] or out.absolute().name,
            architecture=architecture,
            subject=subject,
            margin=margin,
            input=spec,
            files={},
        )
    except ValidationError as error:
        got = error.errors()[0]["input"]
        raise SettingError(f"--name: got {got!r}: letters, digits, dots, hyphens; 64 at most") from None
    return Plan(
        architecture=architecture,
        recipe=replace(recipe, input=spec, **given),
        source=options["data"],
        out=out,
        manifest=manifest,
        weights=options["weights"] or (NONE if recipe.backbone == "none" else IMAGENET),
        **{name: options[name] for name in _OF_PLAN},
    )


class _Shown:
    """A line for each epoch, and a bar of its batches at a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=self._console, transient=True)
        self._task = self._bar.add_task("", total=None, visible=False)

    def __enter__(self) -> _Shown:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def step(self, what: str, step: int, steps: int) -> None:
        """The bar moves."""
        self._bar.update(self._task, description=what, completed=step, total=steps, visible=True)

    def epoch(self, report: EpochReport) -> None:
        """The line of an epoch."""
        row = report.row
        self.say(
            f"{report.phase} {report.number}/{report.epochs}: loss {row['loss']:.3f}, "
            f"accuracy {100 * row['accuracy']:.1f} %, validation loss {row['val_loss']:.3f}, "
            f"accuracy {100 * row['val_accuracy']:.1f} %{' (best)' if report.best else ''}, {row['seconds']:.0f} s"
        )
