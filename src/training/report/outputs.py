"""What stands in a bundle beside the model: figures, plots and the card."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import ValidationError

from framewatch.errors import BadBundle, DataError
from framewatch.training.data.labelled import TEST, VALIDATION, LabelledData
from framewatch.training.fit.checkpoints import HISTORY
from framewatch.training.report.card import Provenance, model_card
from framewatch.training.report.evaluate import METRICS, Answer, evaluate, write_outputs
from framewatch.training.report.figures import Figures, OperatingPoint, Report
from framewatch.training.report.history import read_history, training_history
from framewatch.training.report.metrics import classification_report, positive_label
from framewatch.vision.models.bundle import CARD, Bundle, seal_bundle

SEED: Final = 1  # of load_data
TEST_METRICS: Final = "metrics_test.json"
TEST_REPORT: Final = "classification_report_test.txt"
HISTORY_PLOT: Final = "training_history.png"


def training_outputs(
    bundle: Bundle,
    answer: Answer,
    runtime: str,
    data: LabelledData,
    story: Provenance,
    history: Path | None = None,
    positive: str | None = None,
    sheet: bool = True,
) -> Bundle:
    """Measure the exported model, write figures, plots and card into its folder, and seal that anew.

    The trainer calls it last: ``bundle = export_bundle(…)`` (sealed, with any card), then
    ``bundle = training_outputs(bundle, answer, "openvino", data, story, work / HISTORY)``. Validation gives
    metrics.json, classification_report.txt and the plots; a part named test is measured once, for
    metrics_test.json, classification_report_test.txt and the card, at the threshold that validation chose.

    Args:
        bundle: as exported.
        answer: its runtime, so that the figures are those of what is served.
        runtime: name of that.
        data: that it was trained with, in the order of its labels or any other.
        story: how it came to be.
        history: the history.csv of the training.
        positive: of two classes the one that is looked for.
        sheet: whether ten of the pictures go into the bundle: not where the data must not be handed on.

    Returns:
        the bundle with everything in it.

    Raises:
        DataError: the data have no validation part, or the history is none.
        BadBundle: the model gives what are no shares.
    """
    epochs = read_history(history) if history is not None else []
    folder, name = bundle.folder, bundle.manifest.name
    found = evaluate(answer, bundle.labels, data, VALIDATION, positive)
    report = make_report(bundle, found.figures, story.source, VALIDATION, runtime, data.seed, name)
    write_outputs(found, report, folder, sheet, story.seed)
    measured = {VALIDATION: found.figures}
    if TEST in data.parts and len(data.parts[TEST]):
        threshold = _best(found.figures, positive)
        tested = evaluate(answer, bundle.labels, data, TEST, positive, threshold)
        report = make_report(bundle, tested.figures, story.source, TEST, runtime, data.seed, name)
        _write(folder / TEST_METRICS, report.model_dump_json(indent=2) + "\n")
        _write(folder / TEST_REPORT, classification_report(tested.predictions))
        measured[TEST] = tested.figures
    if history is not None:
        _write(folder / HISTORY, history.read_text(encoding="utf-8"))
    if epochs:
        training_history(epochs, name, folder / HISTORY_PLOT)
    _write(folder / CARD, model_card(bundle, data, story, epochs, measured))
    return seal_bundle(folder, bundle.manifest)


def make_report(
    bundle: Bundle, figures: Figures, source: str, split: str, runtime: str, seed: int, model: str
) -> Report:
    """The figures with what they are of."""
    return Report(
        **figures.model_dump(),
        model=model,
        architecture=bundle.manifest.architecture,
        data=source,
        split=split,
        seed=seed,
        runtime=runtime,
    )


def report_of(bundle: Bundle) -> Report | None:
    """What validation gave when the model was trained; None for a bundle without figures."""
    if METRICS not in bundle.manifest.files:
        return None
    try:
        return Report.model_validate_json(bundle.content(METRICS))
    except ValidationError as error:
        first = error.errors()[0]
        raise BadBundle(f"{bundle.folder}: {METRICS}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def plot_history(bundle: Bundle, folder: Path) -> None:
    """Draw the history in the bundle, where it has one in which an epoch has ended."""
    if HISTORY in bundle.manifest.files and (epochs := read_history(bundle.folder / HISTORY)):
        training_history(epochs, bundle.manifest.name, folder / HISTORY_PLOT)


def chosen_threshold(report: Report | None, positive: str | None) -> OperatingPoint | None:
    """The threshold that validation chose when the model was trained, where it has two classes."""
    return _best(report, positive) if report else None


def _best(figures: Figures, positive: str | None) -> OperatingPoint | None:
    """The best threshold for that label; None where it was chosen for the other one."""
    two = figures.two_classes
    if two is None or figures.labels[positive_label(tuple(figures.labels), positive)] != two.positive:
        return None
    return two.best


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None
