"""One training, from data to bundle."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import keras
import numpy as np

from framewatch.errors import SettingError
from framewatch.objects.base import Access
from framewatch.objects.open import is_bucket
from framewatch.training.architectures.recipes import Phase, Recipe, phases_of
from framewatch.training.architectures.weights import NONE, check_start, load_start
from framewatch.training.data.labelled import TRAIN, VALIDATION, LabelledData, Part, load_data
from framewatch.training.export import check_export, export_bundle, served_form
from framewatch.training.fit.batches import augmented_samples
from framewatch.training.fit.callbacks import Watcher
from framewatch.training.fit.checkpoints import HISTORY, PhaseCheckpoint, has_begun, write_history
from framewatch.training.fit.fit import best_weights, fit
from framewatch.training.fit.precision import Precision, choose_policy, computing_in, device_name
from framewatch.training.fit.workspace import check_out, emptied, open_workspace, publish, record
from framewatch.training.report.card import Provenance, settings_of
from framewatch.training.report.metrics import check_positive
from framewatch.training.report.outputs import training_outputs
from framewatch.vision.models.bundle import Bundle, Manifest, load_bundle
from framewatch.vision.models.runtime import choose_runtime, load_runtime

AUGMENTED: Final = "augmented_samples.png"
_ANY_LABELS: Final = 2
_COMPARED: Final = 16  # pictures on which the exported model is compared with Keras's


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train.

    Attributes:
        architecture: its name in the table of recipes.
        recipe: of it, with what was asked for otherwise.
        source: of the data, as a person wrote it.
        out: folder of the bundle.
        manifest: of the bundle, without its files.
        weights: ``none``, ``imagenet``, or a file or bundle to start from.
        seed: of everything random.
        precision: of the computation.
        positive: of two classes the one that is looked for.
        terms: of the data, for the card.
        pictures: whether some of the data's pictures may be put into the bundle.
        compact: write only one file to serve, with weights in 16 bits.
        purpose: what the model is meant for, for the card.
        origin: how the weights that it starts from were made, for the card.
        limits: what is known that the model cannot do, for the card.
    """

    architecture: str
    recipe: Recipe
    source: str
    out: Path
    manifest: Manifest
    weights: str = NONE
    seed: int = 1
    precision: Precision = "auto"
    positive: str | None = None
    terms: str = ""
    pictures: bool = True
    compact: bool = False
    purpose: str = ""
    origin: str = ""
    limits: tuple[str, ...] = ()

    @property
    def policy(self) -> str:
        """Keras's dtype policy."""
        return choose_policy(self.precision, self.recipe.quick_in_bfloat16)

    def settings(self) -> dict[str, object]:
        """What makes it this training and no other, by the names of the options."""
        recipe, spec = self.recipe, self.recipe.input
        return {
            "ARCHITECTURE": self.architecture,
            "--data": self.source if is_bucket(self.source) else str(Path(self.source).absolute()),
            "--size": spec.width,
            "--grey": spec.channels == 1,
            "--sequence": spec.frames,
            "--epochs": recipe.epochs,
            "--batch-size": recipe.batch_size,
            "--learning-rate": recipe.learning_rate,
            "--optimizer": recipe.optimizer,
            "--label-smoothing": recipe.label_smoothing,
            "--balance": recipe.balance,
            "--patience": recipe.patience,
            "--seed": self.seed,
            "--weights": self.weights,
            "--precision": self.policy,
        }


def train(plan: Plan, access: Access, watcher: Watcher, fresh: bool = False, force: bool = False) -> Bundle:
    """Train, or go on where a training of the same plan was killed, and put the bundle in its place.

    Args:
        plan: of it.
        access: to the object store that the data may be in.
        watcher: follows the training.
        fresh: drop what an unfinished training left.
        force: replace the bundle that is there.

    Raises:
        SettingError: a setting cannot be used, or the bundle is there already.
        DataError: nothing can be learned from the data.
        ObjectsUnavailable: the object store does not answer.
    """
    check_out(plan.out, force)
    spec, recipe = plan.recipe.input, plan.recipe
    with open_workspace(plan.out, plan.settings(), fresh) as folder:
        phases = phases_of(recipe, plan.weights != NONE)
        if not has_begun(folder):  # before all pictures are read, and so before it is known how many labels there are
            tried = partial(recipe.build, spec, _ANY_LABELS, True)
            check_start(plan.weights, plan.architecture, recipe.stands_on, tried)
        data = load_data(
            plan.source, spec, folder, plan.seed, access, lambda done, total: watcher.step("reading", done, total)
        )
        record(folder, {**plan.settings(), **_fingerprint(data)})
        check_positive(data.labels, plan.positive)
        for note in data.notes:
            watcher.say(note)
        watcher.say(_summary(plan, data))
        with computing_in(plan.policy):
            build = partial(recipe.build, spec, len(data.labels), True)
            start = partial(
                load_start, weights=plan.weights, architecture=plan.architecture, backbone=recipe.stands_on
            )
            over = fit(build, start, data, recipe, phases, folder, plan.seed, watcher)
            model = build()
        if over:
            model.load_weights(best_weights(over))
            watcher.say("exporting and measuring the weights with the best validation accuracy")
        else:
            _take_as_they_are(plan.weights, start, model)
            watcher.say(f"exporting and measuring {Path(plan.weights).name} as it is")
        make_bundle(plan, model, data, over, folder)
        publish(folder / "bundle", plan.out, folder)
    return load_bundle(plan.out)


def _take_as_they_are(weights: str, start: Callable[[keras.Model], None], model: keras.Model) -> None:
    """Give the model weights that no epoch will change.

    Raises:
        SettingError: they are not for as many labels, so the last layer would say anything.
    """
    last = model.layers[-1]
    before = last.get_weights()[0]
    start(model)
    if np.array_equal(before, last.get_weights()[0]):
        raise SettingError(f"--epochs: got 0: {weights} is not of {last.units} labels: train an epoch at least")


def make_bundle(
    plan: Plan, trained: keras.Model, data: LabelledData, over: list[tuple[Phase, PhaseCheckpoint]], folder: Path
) -> Bundle:
    """The bundle of a trained model, with figures, plots and card, as ``folder/bundle``.

    Args:
        plan: of the training.
        trained: made for training, with the weights to keep.
        data: it was trained with.
        over: the phases of the training, as ``fit`` gives them.
        folder: of the training.
    """
    served = served_form(trained, plan.recipe, plan.recipe.input, len(data.labels))
    bundle_folder = emptied(folder / "bundle")
    write_history([(phase.name, checkpoint) for phase, checkpoint in over], folder / HISTORY)
    if plan.pictures and over:
        augmented_samples(data.parts[TRAIN], plan.recipe.augmentation, plan.seed, bundle_folder / AUGMENTED)
    card = f"# {plan.manifest.name}\n"
    bundle = export_bundle(served, plan.manifest, data.labels, bundle_folder, card, plan.compact)
    check_export(served, bundle, data.parts[VALIDATION].pictures[:_COMPARED])
    seconds = sum(row.get("seconds", 0.0) for _, checkpoint in over for row in checkpoint.rows)
    runtime = choose_runtime(bundle)
    return training_outputs(
        bundle,
        load_runtime(bundle),
        runtime,
        data,
        _provenance(plan, served.count_params(), seconds),
        folder / HISTORY if over else None,
        plan.positive,
        plan.pictures,
    )


def _provenance(plan: Plan, parameters: int, seconds: float) -> Provenance:
    start = {} if plan.weights == NONE else {"weights": Path(plan.weights).name}
    return Provenance(
        source=Path(plan.source).name,
        parameters=parameters,
        recipe={**settings_of(plan.recipe), **start} if plan.recipe.epochs else start,
        seed=plan.seed,
        precision=plan.policy,
        duration_s=seconds,
        device=device_name(),
        versions={name: version(name) for name in ("keras", "tensorflow")},
        purpose=plan.purpose,
        origin=plan.origin,
        terms=plan.terms,
        limits=plan.limits,
    )


def _fingerprint(data: LabelledData) -> dict[str, object]:
    """By which one knows whether data are still those a training began with."""

    def described(part: Part) -> str:
        checksum = zlib.crc32("/".join(part.names).encode(), zlib.crc32(part.targets.tobytes()))
        return f"{len(part)} samples, {checksum:08x}"

    parts = {f"{name} part of the data": described(part) for name, part in data.parts.items()}
    return {"labels of the data": list(data.labels), **parts}


def _summary(plan: Plan, data: LabelledData) -> str:
    counts = ", ".join(f"{len(part)} {name}" for name, part in data.parts.items())
    start = f"from {plan.weights}" if plan.weights != NONE else "from nothing"
    if plan.recipe.backbone != "none" and plan.weights == NONE:
        start += " (--weights none: so nothing is frozen, every layer learns)"
    return f"{plan.architecture} {start}, {plan.policy} on {device_name()}: {len(data.labels)} labels, {counts}"
