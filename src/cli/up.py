"""framewatch up: everything on this machine by one command."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console

from framewatch.cli.consume import CONSUMER_SETTINGS
from framewatch.cli.options import with_settings
from framewatch.cli.produce import FPS, PRODUCER_SETTINGS
from framewatch.embedded.signals import stop_on_signals
from framewatch.embedded.stack import SourcePlan, Stack
from framewatch.errors import SettingError
from framewatch.model.names import checked_stream_name, same_name, stream_names_of
from framewatch.producer.pace import NATIVE
from framewatch.settings import Settings
from framewatch.wiring.classifier import chosen_classifier
from framewatch.wiring.site import check_rules, check_webhook
from framewatch.wiring.worker import check_host, check_output


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--fps",
    type=FPS,
    default=NATIVE,
    help="Pace of the sources: native (the default), max, or frames a second.",
)
@click.option("--loop", is_flag=True, help="Start the sources again at their end.")
@click.option(
    "--stream",
    "streams",
    multiple=True,
    metavar="TEXT",
    help="Name of a source's stream, once for each source, in their order; from the sources when not given.",
)
@with_settings(*dict.fromkeys((*CONSUMER_SETTINGS, *PRODUCER_SETTINGS)))
def up(sources: tuple[str, ...], fps: str | float, loop: bool, streams: tuple[str, ...], settings: Settings) -> None:
    """Start Kafka, the store and a consumer, and send SOURCEs through them until Ctrl-C."""
    names = stream_names(sources, streams, settings)
    check_host(settings)
    check_rules(settings, chosen_classifier(settings).labels)
    check_webhook(settings)
    check_output(settings)
    options = ["--fps", str(fps), *(["--loop"] if loop else [])]
    plans = [SourcePlan(source, name, options) for source, name in zip(sources, names, strict=True)]
    with stop_on_signals() as stop:
        Stack(settings, Console()).run(stop, plans, consumer=True)


def stream_names(sources: Sequence[str], streams: Sequence[str], settings: Settings) -> list[str]:
    """The name of each source's stream: as given, else made of the sources.

    Raises:
        SettingError: a name cannot be used, or there is not one for each source, or two are the same.
    """
    option = "--stream"
    if not streams and settings.stream is not None:
        option, streams = settings.named("stream"), (settings.stream,)
    if not streams:
        return stream_names_of(sources)
    if not sources:
        if option == "--stream":
            raise SettingError(f"--stream: got {streams[0]!r} and no SOURCE to name")
        return []
    for name in streams:
        try:
            checked_stream_name(name)
        except ValueError as error:
            raise SettingError(f"{option}: got {name!r}: {error}") from None
    if twice := same_name(streams):
        raise SettingError(f"{option}: got {twice!r} for two sources: each stream needs a name of its own")
    if len(streams) != len(sources):
        raise SettingError(
            f"{option}: got {len(streams)} for {len(sources)} sources: give a name for each by --stream, or none"
        )
    return list(streams)
