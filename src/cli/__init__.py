"""The framewatch command: one file a command, imported when it is called.

Reads options and prints; what it starts is in ``wiring``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import click

from framewatch.errors import FramewatchError, SettingError, install_hint

ENDED_BY_CTRL_C = 130


class _Entry(NamedTuple):
    """A command of ``framewatch``.

    Attributes:
        help: its line in ``framewatch --help``; the first sentence of its own help text.
        extra: the extra of the package that brings what it imports; none for what is always installed.
    """

    help: str
    extra: str = ""


COMMANDS: Final = {
    "up": _Entry("Start Kafka, the store and a consumer, and send SOURCEs through them until Ctrl-C.", "up"),
    "produce": _Entry("Send SOURCE to the topic, frame by frame."),
    "consume": _Entry("Classify the frames of the topic, show them live, and store what is seen.", "serve"),
    "services": _Entry(
        "Run the embedded Kafka and store until Ctrl-C; for consumers and producers started apart.", "embedded"
    ),
    "kafka": _Entry(
        "Run one of Kafka's own TOOLs with its own ARGUMENTS; the broker's address is added.", "embedded"
    ),
    "events": _Entry("Find stored events again.", "serve"),
    "explore": _Entry(
        "What there is in labelled pictures: counts, sizes, duplicates, odd and broken ones.", "training"
    ),
    "train": _Entry("Train ARCHITECTURE on labelled pictures.", "training"),
    "evaluate": _Entry("How good a trained model is on labelled pictures, as it is served.", "training"),
}


class _LazyGroup(click.Group):
    """The commands of the table: one is imported when it is called, none for the list of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        try:
            command = getattr(import_module(f"framewatch.cli.{cmd_name}"), cmd_name)
        except ModuleNotFoundError as error:
            raise _needs(cmd_name, error) from None
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:  # of a package that is imported in the middle of the work
            raise _needs(ctx.invoked_subcommand or "", error) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _needs(name: str, error: ModuleNotFoundError) -> Exception:
    """What tells the person which extra to install; the error itself where it is a fault of ours."""
    package, entry = (error.name or "").partition(".")[0], COMMANDS.get(name)
    if entry is None or not entry.extra or package in ("", "framewatch"):
        return error
    return FramewatchError(f"framewatch {name} needs {package}, which is not installed: {install_hint(entry.extra)}")


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("framewatch"), prog_name="framewatch")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. An error is one line: exit 2 for a wrong value, 1 for anything else."""
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
    line = f"framewatch: {' '.join(text.split())}"
    click.echo(click.style(line, fg="red"), err=True)
    return code
