"""framewatch up: everything on this machine by one command."""

from __future__ import annotations

import click
from rich.console import Console

from cli.classifiers import chosen_classifier
from cli.consume import check_host, check_output
from cli.options import with_settings
from cli.produce import FPS
from cli.site import check_rules, check_webhook
from producer.pace import NATIVE
from settings import Settings
from stack import SourcePlan, Stack, stop_on_signals


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--fps",
    type=FPS,
    default=NATIVE,
    help="Pace of the sources: native (the default), max, or frames a second.",
)
@click.option("--loop", is_flag=True, help="Send the sources round and round.")
@with_settings(
    "host", "port", "preset", "model", "models", "runtime", "output", "rules", "run", "instance", "insecure"
)
def up(sources: tuple[str, ...], fps: str | float, loop: bool, settings: Settings) -> None:
    """Start Kafka, the store and a consumer, and send SOURCEs through them until Ctrl-C."""
    check_host(settings)
    check_rules(settings, chosen_classifier(settings).labels)
    check_webhook(settings)
    check_output(settings)
    options = [
        "--fps",
        str(fps),
        *(["--loop"] if loop else []),
        *(["--run", settings.run] if settings.run else []),
    ]
    with stop_on_signals() as stop:
        Stack(settings, Console()).run(stop, [SourcePlan(source, options) for source in sources], consumer=True)
