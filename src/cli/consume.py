"""framewatch consume: a worker with its web server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click
from pymongo.database import Database

from cli.classifiers import chosen_classifier
from cli.kept import frames_days
from cli.options import with_settings
from cli.site import check_rules, make_activity, open_site, told_of_alerts
from consumer.examine import Seen
from consumer.feed import MAX_LISTENERS, Feed
from consumer.health import HealthMonitor
from consumer.images import ImageFolder
from consumer.lanes import Lanes
from consumer.live import LiveHub
from consumer.rejects import RejectedTopic
from consumer.report import Console
from consumer.results import Results
from consumer.stats import Stats
from consumer.web.server import WebServer
from consumer.worker import Worker
from consumer.writer import Writer
from errors import BrokerUnavailable, SettingError
from objects import open_objects
from services.home import Endpoints, endpoints
from settings import Settings
from stack import stop_on_signals
from storage.alerts import AlertStore
from storage.episodes import EpisodeStore
from storage.events import Document
from storage.mongo import EventStore, connect
from storage.uploads import UploadStore
from stream.admin import LastingAdmin
from stream.kafka import ensure_topic, make_admin, make_consumer, make_rare_producer, wait_for_broker
from stream.names import rejected_topic

_log = logging.getLogger(__name__)

_FOREVER_S = 10 * 365 * 24 * 3600.0


@click.command()
@click.option("--from-beginning", is_flag=True, help="Read the topic from its start, whatever was read before.")
@click.option("--quiet", is_flag=True, help="Do not print a line for each frame.")
@with_settings(
    "topic", "group", "instance", "preset", "model", "models", "runtime", "lanes",
    "save_images", "output", "retention_days", "rules", "episode_gap", "database",
    "host", "port", "insecure", "hosts", "origins", "max_viewers", "max_upload_mb", "max_video_mb", "max_predictions",
    "partitions", "replication",
)  # fmt: skip
def consume(from_beginning: bool, quiet: bool, settings: Settings) -> None:
    """Classify the frames of the topic, show them live, and store what is seen."""
    where = endpoints(settings)
    with connect(where.mongodb) as client, stop_on_signals() as stop:
        try:
            run_worker(settings, where, client[settings.database], stop, None if quiet else Console(), from_beginning)
        except BrokerUnavailable:
            if not stop.is_set():  # else it was told to end while it waited for one: all is well
                raise


def run_worker(
    settings: Settings,
    where: Endpoints,
    database: Database[Document],
    stop: threading.Event,
    on_seen: Callable[[Seen], None] | None = None,
    from_beginning: bool = False,
    store: EventStore | None = None,
) -> None:
    """Make the clients and parts of a worker, run it until ``stop``, and end them.

    Args:
        settings: of the run.
        where: Kafka is.
        database: for all that is stored.
        stop: ends the run.
        on_seen: called for each frame in order, once it is classified.
        from_beginning: read the topic from its start whatever the group has committed.
        store: takes the events, instead of one over the database.

    Raises:
        SettingError: a setting cannot be used, or not with the others.
        BadBundle: the trained model cannot be served.
        ServiceError: the web server's port is taken.
        BrokerUnavailable: the Kafka client failed for good.
    """
    check_host(settings)
    options = settings.kafka_options
    store = store or EventStore(database)
    stats, feed = Stats(), Feed()
    hub = LiveHub(settings.max_viewers, lags=lambda: monitor.lags())  # noqa: PLW0108 - it is made below
    images = _image_folder(settings.save_images) if settings.save_images else None
    results = check_output(settings)
    classifiers = chosen_classifier(settings, load=True)
    rules = check_rules(settings, classifiers.labels)
    worker: Worker | None = None  # made once the broker answers, and known then; the pages are there before
    kept_days: float | None = None
    monitor = HealthMonitor(
        LastingAdmin(partial(make_admin, where.kafka, options)),
        store.ping,
        lambda: worker.positions() if worker else {},
        stats,
        lambda: hub.viewers,
    )

    def stored(seen: Seen) -> None:
        feed.publish(seen.events)
        if images:
            images.save(seen)

    with ExitStack() as ending:
        ending.enter_context(closing(monitor))
        on_alert = ending.enter_context(told_of_alerts(settings, database, feed))
        activity = make_activity(settings, database, rules, on_alert)
        app = ending.enter_context(
            open_site(settings, where, database, hub, monitor, stats, feed, classifiers, rules, lambda: kept_days)
        )
        endless = settings.max_viewers + MAX_LISTENERS
        ending.enter_context(WebServer(app, settings.host, settings.port, endless))
        ending.enter_context(closing(hub))
        ending.enter_context(closing(feed))
        _log.info("started: waiting for frames; live picture at http://%s:%d/video", settings.host, settings.port)
        wait_for_broker(where.kafka, options, _FOREVER_S, stop.is_set)
        ensure_topic(where.kafka, settings.topic, settings.partitions, settings.replication, options)
        kept_days = frames_days(make_admin(where.kafka, options), settings.topic)
        rejects = RejectedTopic(partial(make_rare_producer, where.kafka, options), rejected_topic(settings.topic))
        worker = Worker(
            partial(make_consumer, where.kafka, settings.group, settings.instance, options),
            settings.topic,
            Lanes(classifiers.make, settings.lanes),
            lambda on_done, on_failure: Writer(
                store=store,
                rejects=rejects,
                stats=stats,
                on_stored=stored,
                on_done=on_done,
                on_failure=on_failure,
                retention_us=settings.retention_us,
                results=results,
                activity=activity,
                prunes=[of(database).prune for of in (EpisodeStore, AlertStore, UploadStore)],
            ),
            hub,
            stats,
            on_seen or (lambda seen: None),
            from_beginning,
            classifiers.labels,
        )
        worker.run(stop.is_set)
    _log.info("ended: %s", ", ".join(f"{n} {what}" for what, n in stats.counts().items()))


def _image_folder(folder: Path) -> ImageFolder:
    try:
        return ImageFolder(folder)
    except OSError as error:
        raise SettingError(f"--save-images: got {str(folder)!r}: {error.strerror}") from None


def check_host(settings: Settings) -> None:
    """Refuse what would show people's pictures to a network without a password."""
    if not (settings.is_loopback() or settings.password or settings.insecure):
        raise SettingError(
            f"{settings.named('host')}: got {settings.host!r}, which others can reach: "
            "set a password by FRAMEWATCH_PASSWORD, or say --insecure"
        )


def check_output(settings: Settings) -> Results | None:
    """Where results go, if anywhere; an address that is none is known before anything is started."""
    if settings.output is None:
        return None
    try:
        return Results(open_objects(settings.output, settings.object_access()))
    except SettingError as error:
        raise SettingError(f"{settings.named('output')}: {error}") from None
