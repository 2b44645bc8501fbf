"""The framewatch command: one file a command, imported when it is called.

Reads options and prints; what it starts is in ``wiring``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click
from rich.console import Console

from framewatch.cli.consume import consume
from framewatch.cli.evaluate import evaluate
from framewatch.cli.events import events
from framewatch.cli.explore import explore
from framewatch.cli.kafka import kafka
from framewatch.cli.produce import produce
from framewatch.cli.services import services
from framewatch.cli.train import train
from framewatch.cli.up import up
from framewatch.errors import FramewatchError, SettingError

ENDED_BY_CTRL_C = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("framewatch"), prog_name="framewatch")
@click.option("-v", "--verbose", is_flag=True, help="Say more about what goes on.")
def cli(verbose: bool) -> None:
    """Video in, labelled moments out."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    for talker in ("pymongo", "filelock", "urllib3"):
        logging.getLogger(talker).setLevel(logging.WARNING)


for command in (up, produce, consume, services, kafka, events, explore, train, evaluate):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. What goes wrong is one line: exit 2 for a wrong value, 1 for anything else."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="framewatch", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        hint = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return _complain(error.format_message() + hint, 2)
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except SettingError as error:
        return _complain(str(error), 2)
    except FramewatchError as error:
        return _complain(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        return ENDED_BY_CTRL_C
    return code if isinstance(code, int) else 0


def _complain(text: str, code: int) -> int:
    line = " ".join(text.split())
    Console(stderr=True).print(f"framewatch: {line}", style="red", highlight=False, soft_wrap=True, markup=False)
    return code
