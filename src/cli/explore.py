"""framewatch explore: what there is in labelled pictures, before a model is trained on them."""

from __future__ import annotations

from pathlib import Path

import click

from framewatch.cli.options import json_option, with_settings
from framewatch.cli.progress import progress_bar
from framewatch.errors import FramewatchError, install_hint
from framewatch.settings import Settings


@click.command()
@click.option("--data", required=True, metavar="SOURCE", help="Labelled pictures: what `framewatch train` takes.")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Write the files there.")
@click.option("--frames", type=click.IntRange(1, 64), default=1, help="Pictures in a sample; default 1.")
@json_option
@with_settings()
def explore(data: str, out: Path, frames: int, as_json: bool, settings: Settings) -> None:
    """What there is in labelled pictures: counts, sizes, duplicates, odd and broken ones.

    Writes class_distribution.png, dataset_summary.txt and samples.png. SOURCE is a folder for each class, perhaps
    below train, validation and test; a CSV of file names and labels beside the pictures; FER2013's .npz or .csv;
    all of them here or in s3://bucket/prefix/.
    """
    try:
        from framewatch.training.report.explore import explore as look  # noqa: PLC0415  # packages that serving does without
        from framewatch.training.report.explore import write_overview  # noqa: PLC0415
        from framewatch.training.report.overview import summary  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise FramewatchError(
            f"framewatch explore needs {error.name}, which is not installed: {install_hint('training')}"
        ) from None
    with progress_bar("reading", as_json) as progress:
        explored = look(data, settings.object_access(), frames, progress)
    paths = write_overview(explored, out)
    if as_json:
        click.echo(explored.overview.model_dump_json(indent=2))
        return
    click.echo(summary(explored.overview))
    click.echo(f"written: {', '.join(map(str, paths))}")
