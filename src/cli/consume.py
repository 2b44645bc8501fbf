"""framewatch consume: a worker with its web server."""

from __future__ import annotations

import click

from framewatch.cli.options import with_settings
from framewatch.consumer.sinks.console import ConsoleSink
from framewatch.embedded.home import endpoints
from framewatch.embedded.signals import stop_on_signals
from framewatch.errors import BrokerUnavailable
from framewatch.settings import Settings
from framewatch.storage.open import open_store
from framewatch.wiring.worker import run_worker

CONSUMER_SETTINGS = (
    "topic", "group", "instance", "preset", "model", "models", "runtime", "classifier_threads",
    "save_images", "output", "retention_days", "rules", "episode_gap", "database",
    "host", "port", "insecure", "hosts", "origins", "trusted_proxies", "max_viewers", "max_upload_mb", "max_video_mb",
    "max_predictions", "partitions", "replication",
)  # fmt: skip


@click.command()
@click.option("--from-beginning", is_flag=True, help="Read the topic from its start, whatever was read before.")
@click.option("--quiet", is_flag=True, help="Do not print a line for each frame.")
@with_settings(*CONSUMER_SETTINGS)
def consume(from_beginning: bool, quiet: bool, settings: Settings) -> None:
    """Classify the frames of the topic, show them live, and store what is seen."""
    where = endpoints(settings)
    with open_store(where.mongodb, settings.database) as store, stop_on_signals() as stop:
        try:
            run_worker(settings, where, store, stop, () if quiet else [ConsoleSink()], from_beginning)
        except BrokerUnavailable:
            if not stop.is_set():  # else it was told to end while it waited for one: all is well
                raise
