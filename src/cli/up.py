"""framewatch up: everything on this machine by one command."""

from __future__ import annotations

import click
from rich.console import Console

from framewatch.cli.options import with_settings
from framewatch.cli.produce import FPS
from framewatch.embedded.signals import stop_on_signals
from framewatch.embedded.stack import SourcePlan, Stack
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
