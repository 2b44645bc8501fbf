"""The classifier that the settings choose: a preset by its name, or a trained model by its folder."""

from __future__ import annotations

from framewatch.errors import BadBundle, SettingError
from framewatch.settings import Settings
from framewatch.vision.presets import ClassifierFactory, bundle_factory, preset_factory

PRESET = "preset"
MODEL = "model"


def chosen_classifier(settings: Settings, *, load: bool = False) -> ClassifierFactory:
    """A factory of the classifiers that are asked for, after all they need was checked.

    Args:
        settings: of the run.
        load: also load the model and try it, as whoever serves it does before anything else is started.

    Raises:
        SettingError: both a preset and a model were given, or the preset is none, or has no trained model yet.
        BadBundle: the trained model is damaged or cannot be served.
    """
    field = settings.chosen(PRESET, MODEL) or PRESET
    try:
        if field == MODEL and settings.model is not None:
            factory = bundle_factory(settings.model, settings.runtime, settings.classifier_threads)
        else:
            factory = preset_factory(settings.preset, settings.models, settings.runtime, settings.classifier_threads)
        if load:
            _ = factory.model
    except (SettingError, BadBundle) as error:
        raise type(error)(f"{settings.named(field)}: {error}") from None
    return factory
