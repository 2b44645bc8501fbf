"""The web pages of a worker, and what follows the events: made of real clients, for as long as the worker runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import requests
from flask import Flask

from framewatch.activity.rule import Rule
from framewatch.activity.rules import unknown_labels
from framewatch.alerting.webhook import Webhook, masked_address
from framewatch.consumer.health import HealthMonitor
from framewatch.consumer.sinks.activity import end_alerts
from framewatch.consumer.stats import Stats
from framewatch.embedded.home import Endpoints, Home
from framewatch.errors import SettingError
from framewatch.kafka.admin import ResilientAdmin
from framewatch.kafka.clients import make_admin, make_frame_reader
from framewatch.kafka.frame_reader import FrameReader
from framewatch.kafka.group_offsets import committed_offsets
from framewatch.live.erasure import ErasureWatcher
from framewatch.live.feed import Feed
from framewatch.live.hub import LiveHub
from framewatch.model.alert import Alert
from framewatch.model.filters import EventFilter
from framewatch.settings import Settings
from framewatch.storage.interface import Erased, Store
from framewatch.uploads.folder import UploadFolder
from framewatch.uploads.jobs import UploadLimits
from framewatch.uploads.process import producer_process
from framewatch.uploads.service import Uploads
from framewatch.vision.presets import ClassifierFactory
from framewatch.web.api.predict import Limits
from framewatch.web.app import AccessControl, Backend, create_app
from framewatch.web.predictor import Predictor
from framewatch.web.records import Records
from framewatch.web.schemas import AboutOut
from framewatch.wiring.rules import load_rules

_log = logging.getLogger(__name__)


def check_rules(settings: Settings, labels: Sequence[str]) -> tuple[Rule, ...]:
    """The rules of the settings, none without a file.

    Raises:
        SettingError: they cannot be used, or name a label that the classifier never gives.
    """
    if settings.rules is None:
        return ()
    rules = load_rules(settings.rules)
    if wrong := unknown_labels(rules, labels):
        raise SettingError(f"{settings.named('rules')}: {'; '.join(wrong)}")
    return rules


def check_webhook(settings: Settings) -> str | None:
    """The address that alerts are posted to, if any.

    Raises:
        SettingError: it is no address of that kind. It may hold a password, so it is not shown.
    """
    if settings.webhook is None:
        return None
    address = settings.webhook.get_secret_value()
    try:
        masked_address(address)
    except SettingError as error:
        raise SettingError(f"{settings.named('webhook')}: {error}") from None
    return address


@contextmanager
def told_of_alerts(settings: Settings, store: Store, feed: Feed) -> Iterator[Callable[[Alert], None]]:
    """What is to be called with each alert: listeners of the feed hear of it, and the webhook where there is one."""
    address = check_webhook(settings)
    if address is None:
        yield feed.publish_alert
        return
    with closing(Webhook(address, store.alerts, requests.Session())) as webhook:
        webhook.start()

        def tell(alert: Alert) -> None:
            feed.publish_alert(alert)
            webhook.wake()

        yield tell


@contextmanager
def open_site(
    settings: Settings,
    where: Endpoints,
    store: Store,
    hub: LiveHub,
    monitor: HealthMonitor,
    stats: Stats,
    feed: Feed,
    classifiers: ClassifierFactory,
    rules: Sequence[Rule],
    frames_days: Callable[[], float | None],
) -> Iterator[Flask]:
    """The application over all that this worker has; what it is made of ends with it."""
    options = settings.kafka_options

    def erase_everywhere(erased: EventFilter) -> Erased:
        counted = store.erase(erased)
        hub.erase(erased)
        return counted

    with ExitStack() as ending:
        predictor = ending.enter_context(closing(Predictor(classifiers.make, classifiers.labels)))
        frames = FrameReader(partial(make_frame_reader, where.kafka, options), settings.topic)
        ending.enter_context(closing(frames))
        records = Records(
            events=store.events,
            episodes=store.episodes,
            alerts=store.alerts,
            erase=erase_everywhere,
            read_frame=frames.read,
            retention_us=settings.retention_us,
        )
        ending.enter_context(closing(ErasureWatcher(hub, records.episodes.erased_after, settings.retention_us)))
        uploads = _uploads(settings, where, store, erase_everywhere, feed.publish_alert)
        if uploads is not None:
            ending.enter_context(closing(uploads.start()))
        about = _about(settings, classifiers, rules)
        backend = Backend(
            hub,
            monitor.health,
            records=records,
            rules=rules,
            feed=feed,
            uploads=uploads,
            predictor=predictor,
            predict_limits=Limits(round(settings.max_upload_mb * 1e6), settings.max_predictions),
            stats=stats,
            about=lambda: about.model_copy(update={"frame_retention_days": frames_days()}),
        )
        yield create_app(backend, _access(settings))


def _access(settings: Settings) -> AccessControl:
    return AccessControl(
        user=settings.user,
        password=settings.password.get_secret_value() if settings.password else None,
        hosts=settings.hosts if settings.hosts or settings.is_loopback() else None,
        origins=settings.origins,
        trusted_proxies=settings.trusted_proxies,
    )


def _uploads(
    settings: Settings,
    where: Endpoints,
    store: Store,
    erase: Callable[[EventFilter], Erased],
    on_alert: Callable[[Alert], None],
) -> Uploads | None:
    """The service that takes files, or None, with a warning, where no folder can be used for it."""
    try:
        folder = UploadFolder(Home(settings.home).uploads)
    except SettingError as error:
        _log.warning("%s: nothing can be uploaded; name another folder by --home", error)
        return None
    admin = ResilientAdmin(partial(make_admin, where.kafka, settings.kafka_options))
    committed = committed_offsets(admin, settings.group, settings.topic)
    limits = UploadLimits(
        image_bytes=round(settings.max_upload_mb * 1e6), video_bytes=round(settings.max_video_mb * 1e6)
    )
    return Uploads(
        folder,
        store.uploads,
        producer_process(settings),
        committed,
        erase,
        limits,
        partial(end_alerts, episodes=store.episodes, alerts=store.alerts, on_alert=on_alert),
    )


def _about(settings: Settings, classifiers: ClassifierFactory, rules: Sequence[Rule]) -> AboutOut:
    return AboutOut(
        version=version("framewatch"),
        preset=settings.preset if settings.chosen("preset", "model") != "model" else None,
        model=classifiers.model,
        labels=list(classifiers.labels),
        retention_days=settings.retention_days,
        frame_retention_days=None,  # known once Kafka has answered
        webhook=settings.webhook is not None,
        output=settings.output is not None,
        max_upload_mb=settings.max_upload_mb,
        max_video_mb=settings.max_video_mb,
        password=settings.password is not None,
        rules=len(rules),
        started=datetime.now(UTC),
    )
