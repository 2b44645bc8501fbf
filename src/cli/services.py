"""framewatch services: the embedded Kafka and store alone."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from framewatch.cli.options import json_option, print_json, with_settings
from framewatch.embedded.hold import held
from framewatch.embedded.home import Home, endpoints
from framewatch.embedded.process import end_left_behind, is_running
from framewatch.embedded.signals import stop_on_signals
from framewatch.embedded.stack import Stack
from framewatch.settings import Settings


@click.group(invoke_without_command=True)
@with_settings()
@click.pass_context
def services(context: click.Context, settings: Settings) -> None:
    """Run the embedded Kafka and store until Ctrl-C; for consumers and producers started apart."""
    if context.invoked_subcommand is None:
        with stop_on_signals() as stop:
            Stack(settings, Console()).run(stop)


@services.command()
@with_settings()
@json_option
def status(as_json: bool, settings: Settings) -> None:
    """Show what runs in this home, and where it answers."""
    home, where = Home(settings.home), endpoints(settings)
    running = {record.stem: is_running(record) for record in home.records()}
    if as_json:
        print_json({"home": home.folder, "kafka": where.kafka, "mongodb": where.mongodb, "running": running})
        return
    table = Table("part", "runs", title=str(home.folder))
    for name, runs in running.items():
        table.add_row(name, "yes" if runs else "no")
    console = Console()
    console.print(table if running else f"nothing runs in {home.folder}")
    console.print(f"Kafka {where.kafka}, MongoDB {where.mongodb.rpartition('@')[2]}", highlight=False)


@services.command()
@with_settings()
def stop(settings: Settings) -> None:
    """End what a killed run left behind in this home."""
    home = Home(settings.home)
    home.prepare()
    with held(home):
        ended = [record.stem for record in home.records() if end_left_behind(record)]
    click.echo(f"ended: {', '.join(ended)}" if ended else "nothing was left behind")
