"""A worker, made of real clients and run until it is told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from functools import partial

from framewatch.consumer.classifier_pool import ClassifierPool
from framewatch.consumer.health import HealthMonitor
from framewatch.consumer.pruning import Pruner
from framewatch.consumer.sinks.base import Sink
from framewatch.consumer.stats import Stats
from framewatch.consumer.worker import Worker
from framewatch.consumer.writer import Writer
from framewatch.embedded.home import Endpoints
from framewatch.errors import SettingError
from framewatch.kafka.admin import ResilientAdmin
from framewatch.kafka.clients import make_admin, make_consumer
from framewatch.kafka.retention import frames_days
from framewatch.kafka.topics import ensure_topic, wait_for_broker
from framewatch.live.feed import MAX_LISTENERS, Feed
from framewatch.live.hub import LiveHub
from framewatch.settings import Settings
from framewatch.storage.interface import Store
from framewatch.web.server import WebServer
from framewatch.wiring.classifier import chosen_classifier
from framewatch.wiring.sinks import make_sinks, result_sink
from framewatch.wiring.site import check_rules, open_site, told_of_alerts

_log = logging.getLogger(__name__)

_FOREVER_S = 10 * 365 * 24 * 3600.0


def run_worker(
    settings: Settings,
    where: Endpoints,
    store: Store,
    stop: threading.Event,
    more_sinks: Sequence[Sink] = (),
    from_beginning: bool = False,
) -> None:
    """Make the clients and parts of a worker, run it until ``stop``, and end them.

    Args:
        settings: of the run.
        where: Kafka is.
        store: for all that is kept.
        stop: ends the run.
        more_sinks: take each frame behind those that the settings ask for.
        from_beginning: read the topic from its start whatever the group has committed.

    Raises:
        SettingError: a setting cannot be used, or not with the others.
        BadBundle: the trained model cannot be served.
        ServiceError: the web server's port is taken.
        BrokerUnavailable: the Kafka client failed for good.
    """
    check_host(settings)
    options = settings.kafka_options
    stats, feed = Stats(), Feed()
    hub = LiveHub(settings.max_viewers, lags=lambda: monitor.lags())  # noqa: PLW0108 - it is made below
    classifiers = chosen_classifier(settings, load=True)
    rules = check_rules(settings, classifiers.labels)
    worker: Worker | None = None  # made once the broker answers; the pages are there before
    kept_days: float | None = None
    monitor = HealthMonitor(
        ResilientAdmin(partial(make_admin, where.kafka, options)),
        store.events.problem,
        lambda: worker.positions() if worker else {},
        stats,
        lambda: hub.viewers,
        lambda: worker.problem() if worker else None,
    )
    with ExitStack() as ending:
        ending.enter_context(closing(monitor))
        on_alert = ending.enter_context(told_of_alerts(settings, store, feed))
        sinks = [*make_sinks(settings, where, store, stats, feed, rules, on_alert), *more_sinks]
        app = ending.enter_context(
            open_site(settings, where, store, hub, monitor, stats, feed, classifiers, rules, lambda: kept_days)
        )
        endless = settings.max_viewers + MAX_LISTENERS
        ending.enter_context(WebServer(app, settings.host, settings.port, endless))
        ending.enter_context(closing(hub))
        ending.enter_context(closing(feed))
        _log.info("started: waiting for frames; live picture at http://%s:%d/video", settings.host, settings.port)
        wait_for_broker(where.kafka, options, _FOREVER_S, stop.is_set)
        ensure_topic(where.kafka, settings.topic, settings.partitions, settings.replication, options)
        kept_days = frames_days(make_admin(where.kafka, options), settings.topic)
        worker = Worker(
            partial(make_consumer, where.kafka, settings.group, settings.instance, options),
            settings.topic,
            ClassifierPool(classifiers.make, settings.classifier_threads),
            lambda on_done, on_failure: Writer(sinks, stats, on_done, on_failure),
            hub,
            stats,
            from_beginning,
            classifiers.labels,
        )
        prunes = [part.prune for part in (store.events, store.episodes, store.alerts, store.uploads)]
        ending.enter_context(closing(Pruner(prunes, settings.retention_us)))
        worker.run(stop.is_set)
    _log.info("ended: %s", ", ".join(f"{n} {what}" for what, n in stats.counts().items()))


def check_host(settings: Settings) -> None:
    """Refuse what would show people's pictures to a network without a password."""
    if not (settings.is_loopback() or settings.password or settings.insecure):
        raise SettingError(
            f"{settings.named('host')}: got {settings.host!r}, which others can reach: "
            "set a password by FRAMEWATCH_PASSWORD, or say --insecure"
        )


def check_output(settings: Settings) -> None:
    """Refuse an address for results that is none."""
    if settings.output is not None:
        result_sink(settings)
