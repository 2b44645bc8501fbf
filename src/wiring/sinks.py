"""The sinks of a worker: what becomes of each classified frame, in this order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from framewatch.activity.rule import Rule
from framewatch.consumer.sinks.activity import ActivitySink
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.sinks.dead_letters import DeadLetterSink
from framewatch.consumer.sinks.events import EventSink
from framewatch.consumer.sinks.feed import FeedSink
from framewatch.consumer.sinks.images import ImageSink
from framewatch.consumer.sinks.results import ResultSink
from framewatch.consumer.stats import Stats
from framewatch.embedded.home import Endpoints
from framewatch.errors import SettingError
from framewatch.kafka.clients import make_dead_letter_producer
from framewatch.kafka.topics import ensure_dead_letter_topic
from framewatch.live.feed import Feed
from framewatch.model.alert import Alert
from framewatch.model.names import dead_letter_topic
from framewatch.objects.open import open_objects
from framewatch.settings import Settings
from framewatch.storage.interface import Store


def make_sinks(
    settings: Settings,
    where: Endpoints,
    store: Store,
    stats: Stats,
    feed: Feed,
    rules: Sequence[Rule],
    on_alert: Callable[[Alert], None],
) -> list[Sink]:
    """All sinks that the settings ask for. A new one is a line here.

    Raises:
        SettingError: a setting of a sink cannot be used.
    """
    return [
        EventSink(store.events, stats),
        *([result_sink(settings)] if settings.output else []),
        _dead_letter_sink(settings, where, stats),
        _activity_sink(settings, store, rules, on_alert),
        FeedSink(feed),
        *([ImageSink(settings.save_images)] if settings.save_images else []),
    ]


def result_sink(settings: Settings) -> ResultSink:
    """Where results go; an address that is none is known before anything is started."""
    assert settings.output is not None  # asked for
    try:
        return ResultSink(open_objects(settings.output, settings.object_access()))
    except SettingError as error:
        raise SettingError(f"{settings.named('output')}: {error}") from None


def _dead_letter_sink(settings: Settings, where: Endpoints, stats: Stats) -> DeadLetterSink:
    topic, options = dead_letter_topic(settings.topic), settings.kafka_options
    return DeadLetterSink(
        partial(make_dead_letter_producer, where.kafka, options),
        topic,
        partial(ensure_dead_letter_topic, where.kafka, topic, settings.replication, options),
        stats,
    )


def _activity_sink(
    settings: Settings, store: Store, rules: Sequence[Rule], on_alert: Callable[[Alert], None]
) -> ActivitySink:
    return ActivitySink(
        store.episodes,
        store.alerts,
        rules,
        round(settings.episode_gap * 1_000_000),
        on_alert,
        has_webhook=settings.webhook is not None,
    )
