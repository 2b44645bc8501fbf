"""framewatch kafka: Kafka's own tools, against the embedded broker or any other."""

from __future__ import annotations

import os
import sys

import click

from framewatch.cli.options import with_settings
from framewatch.embedded.home import endpoints
from framewatch.embedded.jars import jar_paths
from framewatch.embedded.kafka import tool_argv, tool_names
from framewatch.settings import Settings


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@with_settings()
@click.argument("tool", type=click.Choice(tool_names()))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kafka(tool: str, arguments: tuple[str, ...], settings: Settings) -> None:
    """Run one of Kafka's own TOOLs with its own ARGUMENTS; the broker's address is added.

    \b
    framewatch kafka topics --list
    framewatch kafka console-consumer --topic distributed-video1 --from-beginning --max-messages 1
    """
    argv = tool_argv(jar_paths(settings.cache), tool, endpoints(settings).kafka, arguments)
    sys.stdout.flush()
    os.execv(argv[0], argv)  # the tool itself, with its signals and its exit code
