"""The model card: what a bundle is, what it was made from and how, how good it is, and what it is not for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from framewatch.training.data.labelled import LabelledData
from framewatch.training.report.figures import Figures, Interval
from framewatch.training.report.history import Epoch, best_epoch
from framewatch.training.report.plots import percent
from framewatch.vision.models.bundle import Bundle

_SUBJECTS: Final = {"frame": "the whole frame", "face": "each face that is found in a frame"}
_COUNTED: Final = 40  # labels up to which each has its line


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a model came to be, as far as the bundle does not say it itself.

    Attributes:
        source: base name of the data: no path of anybody's machine.
        parameters: how many weights it has.
        recipe: settings of the training by their names, such as ``settings_of`` gives.
        seed: of everything random.
        precision: of the computation, such as ``mixed_bfloat16``.
        duration_s: of the training.
        device: that it was trained on, in words.
        versions: of Keras and the others, by package.
        purpose: what it is meant for, in a sentence or two.
        origin: how the weights that it starts from were made.
        terms: licence of the data, or under which terms they and the model may be used.
        limits: what is known that it cannot do.
    """

    source: str
    parameters: int
    recipe: Mapping[str, object]
    seed: int
    precision: str
    duration_s: float
    device: str = "CPU"
    versions: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    origin: str = ""
    terms: str = ""
    limits: Sequence[str] = ()


def settings_of(recipe: Any) -> dict[str, object]:
    """Fields of a recipe as they can be read: functions by their names, what is no plain value left out."""
    values = {each.name: getattr(recipe, each.name) for each in dataclasses.fields(recipe) if each.name != "build"}
    named = {name: value.__name__ if hasattr(value, "__name__") else value for name, value in values.items()}
    return {name: value for name, value in named.items() if isinstance(value, str | int | float)}


def model_card(
    bundle: Bundle,
    data: LabelledData,
    story: Provenance,
    epochs: list[Epoch],
    measured: Mapping[str, Figures],
) -> str:
    """The card as Markdown.

    Args:
        bundle: the model.
        data: all of its parts.
        story: the rest.
        epochs: how the training went; empty: nothing is said of it.
        measured: figures of the model as it is served, by part, one at least; the first one was chosen by.
    """
    sections = (
        _what(bundle, story),
        _figures(measured),
        _training(story, epochs),
        _data(data, story),
        _limits(story),
        _serving(bundle),
    )
    return "\n\n".join(sections) + "\n"


def _what(bundle: Bundle, story: Provenance) -> str:
    manifest = bundle.manifest
    spec = manifest.input
    colours = "grey" if spec.channels == 1 else "red green blue"
    sequence = f", {spec.frames} frames in sequence" if spec.frames > 1 else ""
    margin = f", its box made larger by {percent(manifest.margin)} of its sides" if manifest.margin else ""
    lines = [
        f"# {manifest.name}",
        "",
        story.purpose or f"Gives one of {len(bundle.labels)} labels to {_SUBJECTS[manifest.subject]}.",
        "",
        f"- Architecture: `{manifest.architecture}`, {story.parameters:,} parameters",
        f"- Labels, in index order: {', '.join(bundle.labels)}",
        f"- Looks at: {_SUBJECTS[manifest.subject]}{margin}",
        f"- Input: {spec.width}x{spec.height} pixels, {colours}, 0 to 255{sequence}; scaling is inside the model",
        "- Output: the share of each label, 1 together",
    ]
    return "\n".join(lines)


def _figures(measured: Mapping[str, Figures]) -> str:
    chosen_by = next(iter(measured))
    rows = [
        [
            part,
            f"{figures.samples}",
            f"{percent(figures.accuracy)} ({_between(figures.accuracy_interval)})",
            f"{figures.macro_f1:.3f} ({figures.macro_f1_interval.low:.3f} to {figures.macro_f1_interval.high:.3f})",
            f"{figures.loss:.3f}",
            percent(figures.expected_calibration_error),
        ]
        for part, figures in measured.items()
    ]
    header = ["part", "samples", "accuracy (95 % interval)", "macro-F1 (95 % interval)", "loss", "calibration error"]
    text = f"## Figures\n\nOf the exported model as it is served.\n\n{_table(header, rows)}"
    text += f"\n\nThe weights were chosen by `{chosen_by}`: its figures are a little flattered by that."
    if len(measured) > 1:
        text += " Every other part was measured once, after all decisions."
    text += " Intervals: Wilson score for accuracy, bootstrap for macro-F1."
    for part, figures in measured.items():
        text += f"\n\n### Each label, {part}\n\n{_per_class(figures)}"
        if figures.two_classes:
            text += f"\n\n{_two_classes(figures)}"
    return text


def _per_class(figures: Figures) -> str:
    rows = [
        [row.label, f"{row.support}", _number(row.precision), _number(row.recall), _number(row.f1)]
        for row in figures.per_class
    ]
    return _table(["label", "samples", "precision", "recall (accuracy)", "F1"], rows)


def _two_classes(figures: Figures) -> str:
    two = figures.two_classes
    assert two is not None
    points = [("as served", two.as_served), ("fixed before", two.fixed), ("best on this part", two.best)]
    rows = [
        [name, f"{at.threshold:.3f}", chosen_on, _number(at.precision), _number(at.recall), _number(at.f1)]
        for name, at in points
        if at
        for chosen_on in ["-" if at is two.as_served else at.chosen_on]
    ]
    header = [f"{two.positive} is said", "from a share of", "chosen on", "precision", "recall", "F1"]
    areas = f"Average precision {_number(two.average_precision)}, ROC-AUC {_number(two.roc_auc)}."
    return f"{_table(header, rows)}\n\n{areas}"


def _training(story: Provenance, epochs: list[Epoch]) -> str:
    minutes = f"{story.duration_s / 60:.0f} minutes" if story.duration_s >= 120 else f"{story.duration_s:.0f} s"
    lines = [f"- The weights it starts from: {story.origin}"] if story.origin else []
    if story.duration_s:
        lines.append(f"- {minutes} on: {story.device}, precision `{story.precision}`, seed {story.seed}")
    else:
        lines.append("- No epoch was trained here: the weights are served as they came")
    if best := best_epoch(epochs):
        lines.append(f"- {len(epochs)} epochs; the weights are those of epoch {best.number}")
    lines.append(f"- Recipe: {', '.join(f'{name} {value}' for name, value in story.recipe.items())}")
    if story.versions:
        lines.append(f"- With {', '.join(f'{name} {version}' for name, version in story.versions.items())}")
    return "## Training\n\n" + "\n".join(lines)


def _data(data: LabelledData, story: Provenance) -> str:
    counts = {name: np.bincount(part.targets, minlength=len(data.labels)) for name, part in data.parts.items()}
    rows = [[label, *(f"{n[i]}" for n in counts.values())] for i, label in enumerate(data.labels[:_COUNTED])]
    if left := len(data.labels) - _COUNTED:
        rows += [[f"{left} more", *(f"{n[_COUNTED:].sum()}" for n in counts.values())]] if left > 0 else []
    rows.append(["all", *(f"{n.sum()}" for n in counts.values())])
    text = f"## Data\n\n`{story.source}`, samples of each label:\n\n{_table(['label', *counts], rows)}"
    if data.notes:
        text += "\n\n" + _bullets(data.notes)
    return text + f"\n\nTerms of the data: {story.terms or 'not stated by who trained the model: ask before use.'}"


def _limits(story: Provenance) -> str:
    usual = (
        "For pictures like those it was trained on: other cameras, light, angles or people can lower every figure.",
        "Always gives one of its labels, also to a picture that shows none of them.",
        "Its confidence is no probability of being right: see reliability.png.",
        "Not for decisions about people: health, work, insurance, police or school.",
    )
    return "## Limits and intended use\n\n" + _bullets([*story.limits, *usual])


def _serving(bundle: Bundle) -> str:
    folder = f"models/{bundle.manifest.name}"
    return (
        "## Serve it\n\n```sh\n"
        f"framewatch up --model {folder} VIDEO\n"
        f"framewatch evaluate --model {folder} --data DATA --split test\n"
        "```"
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _between(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
