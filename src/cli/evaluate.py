"""framewatch evaluate: how good a trained model is on labelled pictures, as it is served."""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from framewatch.cli.formatting import shown
from framewatch.cli.options import json_option, with_settings
from framewatch.cli.progress import progress_bar
from framewatch.errors import FramewatchError, install_hint
from framewatch.settings import Settings
from framewatch.vision.models.bundle import Bundle, load_bundle
from framewatch.vision.models.runtime import RuntimeName, choose_runtime, load_runtime

if TYPE_CHECKING:
    from framewatch.training.report.evaluate import Answer
    from framewatch.training.report.figures import OperatingPoint, Report

_KERAS = "keras"
_MOST_THREADS = 8
_INSTALL = f": {install_hint('training')}"


@click.command()
@click.option("--model", required=True, type=click.Path(path_type=Path), metavar="DIR", help="The bundle.")
@click.option("--data", required=True, metavar="SOURCE", help="Labelled pictures: what `framewatch train` takes.")
@click.option(
    "--split",
    default="validation",
    metavar="NAME",
    help="The part of the data, or all for every picture of them; default validation.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write figures, report and plots there.")
@click.option(
    "--runtime",
    type=click.Choice([*get_args(RuntimeName), _KERAS]),
    default="auto",
    help="What runs the model; default auto, as it is served. keras needs TensorFlow.",
)
@click.option(
    "--positive",
    metavar="LABEL",
    help="Of two labels the one that is looked for, such as Smoking; default: as in training.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Of the split of data without parts; default: the one the model was trained by.",
)
@click.option(
    "--work", type=click.Path(path_type=Path), metavar="DIR", help="Keep prepared pictures there, for next time."
)
@json_option
@with_settings()
def evaluate(
    model: Path, data: str, split: str, out: Path | None, runtime: str, positive: str | None,
    seed: int | None, work: Path | None, as_json: bool, settings: Settings,
) -> None:  # fmt: skip
    """How good a trained model is on labelled pictures, as it is served: accuracy with its interval, loss, macro-F1,
    each label's precision and recall, confusions, calibration; of two labels also the best threshold.
    """
    try:
        from framewatch.training.data.labelled import VALIDATION, load_data, part_name  # noqa: PLC0415
        from framewatch.training.report import evaluate as measuring  # noqa: PLC0415  # packages that serving does without
        from framewatch.training.report import outputs  # noqa: PLC0415
        from framewatch.training.report.metrics import check_positive  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise FramewatchError(f"framewatch evaluate needs {error.name}, which is not installed{_INSTALL}") from None
    bundle = load_bundle(model)
    check_positive(bundle.labels, positive)
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    answer, runs_it = _answer(bundle, runtime, threads)
    trained = outputs.report_of(bundle)
    seed = seed if seed is not None else trained.seed if trained else outputs.SEED
    if positive is None and trained and trained.two_classes:
        positive = trained.two_classes.positive
    with TemporaryDirectory(prefix="framewatch-", ignore_cleanup_errors=True) as folder:
        with progress_bar("reading", as_json) as progress:
            spec, access = bundle.manifest.input, settings.object_access()
            prepared = work or Path(folder)
            labelled = load_data(data, spec, prepared, seed, access, progress, part_name(split) or split, learn=False)
        threshold = outputs.chosen_threshold(trained, positive) if part_name(split) != VALIDATION else None
        found = measuring.evaluate(answer, bundle.labels, labelled, split, positive, threshold, threads)
        source = PurePosixPath(data).name or data
        report = outputs.make_report(bundle, found.figures, source, found.name, runs_it, seed, bundle.model)
        if out is not None:
            measuring.write_outputs(found, report, out)
            outputs.plot_history(bundle, out)
    for note in labelled.notes:
        click.echo(f"note: {shown(note, 200)}", err=True)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
        return
    _print(report)
    if out is not None:
        click.echo(f"written to {out}")


def _answer(bundle: Bundle, runtime: str, threads: int) -> tuple[Answer, str]:
    """The model, and the name of what runs it."""
    if runtime != _KERAS:
        chosen: Any = choose_runtime(bundle, runtime)  # type: ignore[arg-type]  # one of the choices
        return load_runtime(bundle, chosen, threads), chosen
    try:
        from framewatch.training.report.keras_answer import keras_answer  # noqa: PLC0415  # TensorFlow
    except ModuleNotFoundError as error:
        raise FramewatchError(f"--runtime keras needs {error.name}, which is not installed{_INSTALL}") from None
    return keras_answer(bundle), _KERAS


def _print(report: Report) -> None:
    """The figures for people."""
    console = Console(file=sys.stdout, highlight=False)
    interval, of_f1 = report.accuracy_interval, report.macro_f1_interval
    lines = [
        ("model", f"{report.model} ({report.architecture}), by {report.runtime}"),
        ("data", f"{report.data}, {report.split}: {report.samples} pictures"),
        ("accuracy", f"{report.accuracy:.2%}, 95 % interval {interval.low:.2%} to {interval.high:.2%} (Wilson)"),
        ("macro-F1", f"{report.macro_f1:.4f}, 95 % interval {of_f1.low:.4f} to {of_f1.high:.4f} (bootstrap)"),
        ("balanced", f"{report.balanced_accuracy:.2%} (mean of the labels' own accuracies)"),
        ("loss", f"{report.loss:.4f} (cross-entropy)"),
        *((f"top {k}", f"{top:.2%}") for k, top in ((2, report.top_2_accuracy), (3, report.top_3_accuracy)) if top),
        ("calibration", f"{report.expected_calibration_error:.2%} expected error"),
    ]  # fmt: skip
    for name, text in lines:
        console.print(Text(f"{name:<12} {shown(text, 200)}"), soft_wrap=True)
    table = Table("label", box=None, header_style="bold", pad_edge=False)
    for column in ("samples", "predicted", "precision", "recall", "F1", "95 % of recall"):
        table.add_column(column, justify="right")
    for row in report.per_class:
        own = row.accuracy_interval
        between = f"{own.low:.1%} to {own.high:.1%}" if own else "-"
        rates = (_rate(row.precision), _rate(row.recall), _rate(row.f1))
        table.add_row(Text(shown(row.label, 40)), f"{row.support}", f"{row.predicted}", *rates, between)
    console.print(table)
    if two := report.two_classes:
        areas = f"average precision {_rate(two.average_precision)}, ROC-AUC {_rate(two.roc_auc)}"
        console.print(Text(f"{shown(two.positive, 40)} is looked for: {areas}"), soft_wrap=True)
        console.print(Text(f"  {'as served':<12} the larger share wins: {_rates(two.as_served)}"), soft_wrap=True)
        for name, point in (("fixed before", two.fixed), ("best", two.best)):
            if point is not None:
                how = f"from a share of {point.threshold:.3f} (chosen on {point.chosen_on})"
                console.print(Text(f"  {name:<12} {how}: {_rates(point)}"), soft_wrap=True)


def _rates(point: OperatingPoint) -> str:
    return f"recall {_rate(point.recall)}, precision {_rate(point.precision)}, F1 {_rate(point.f1)}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
