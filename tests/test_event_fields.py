"""One table of an event's fields: all outputs have what it says, and a new field is one line of it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import REPOSITORY
from framewatch.cli.formatting import table_header
from framewatch.model.event import Event
from framewatch.model.event_fields import (
    CONSOLE_FIELDS,
    CSV_FIELDS,
    DOCUMENT_FIELDS,
    FIELDS,
    JSON_FIELDS,
    READ_FIELDS,
)
from framewatch.storage.mongo.documents import from_document, to_document
from framewatch.web.api.downloads import as_csv, as_json_lines
from framewatch.web.event_schemas import EventOut
from many import event

LINKS = {"url", "crop_url", "frame_url"}
ONE = event(boundingbox=(1, 2, 3, 4), scores=(("face", 0.5),), landmarks=((1.0, 2.0),), file="a.jpg")


def test_every_attribute_of_an_event_is_stored_and_read_again() -> None:
    assert {field.name for field in READ_FIELDS} == {field.name for field in dataclasses.fields(Event)}
    assert list(to_document(ONE)) == [field.stored_as or field.name for field in DOCUMENT_FIELDS]
    assert from_document(to_document(ONE)) == ONE


def test_json_csv_and_table_have_the_fields_that_the_table_gives_them() -> None:
    names = [field.name for field in JSON_FIELDS]
    (line,) = as_json_lines([[ONE]])
    assert (
        list(json.loads(line))
        == list(EventOut.model_fields)
        == names
        + list(LINKS & set(EventOut.model_fields))[:0]
        + [name for name in EventOut.model_fields if name in LINKS]
    )
    header, row = csv.reader(io.StringIO(b"".join(as_csv([[ONE]])).decode()))
    assert header == [column for field in CSV_FIELDS for column in field.columns]
    assert len(row) == len(header)
    assert re.split(r" {2,}", table_header()) == [field.cell.heading for field in CONSOLE_FIELDS if field.cell]


def test_no_two_fields_stand_at_one_position() -> None:
    for output in ("json", "document", "csv", "console"):
        positions = [at for field in FIELDS if (at := getattr(field, output)) is not None]
        assert len(positions) == len(set(positions)), output


ADDED = """
import csv, io, json
from framewatch.cli.formatting import table_header, table_row
from framewatch.model.event import Event
from framewatch.storage.mongo.documents import from_document, to_document
from framewatch.web.api.downloads import as_csv, as_json_lines
from framewatch.web.event_schemas import EventOut

event = Event("door", "r", 1, 10**15, 0, "face", 0.5, "m", 0, 0, mood="calm")
document = to_document(event)
assert from_document(document) == event
assert from_document({name: value for name, value in document.items() if name != "mood"}).mood == ""  # stored before
header, row = csv.reader(io.StringIO(b"".join(as_csv([[event]])).decode()))
print(json.dumps({
    "document": document["mood"],
    "json": json.loads(next(as_json_lines([[event]])))["mood"],
    "schema": EventOut.model_json_schema()["properties"]["mood"]["description"],
    "csv": dict(zip(header, row))["mood"],
    "heading": table_header(),
    "table": table_row(document),
}))
"""


def test_a_new_field_is_one_attribute_and_one_line(tmp_path: Path) -> None:
    shutil.copytree(
        REPOSITORY / "src", tmp_path / "framewatch", ignore=shutil.ignore_patterns("static", "__pycache__")
    )
    model = tmp_path / "framewatch" / "model"
    add(model / "event.py", "    file: str | None = None\n", '    mood: str = ""\n')
    line = (
        '    _plain("mood", str, "how it looks", json=16, document=16, csv=16, console=7, cell=_column("mood", 8)),\n'
    )
    add(model / "event_fields.py", "FIELDS: Final = (\n", line)
    done = subprocess.run(
        [sys.executable, "-c", ADDED],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert "mood" in made.pop("heading")
    assert "calm" in made.pop("table")
    assert made == {"document": "calm", "json": "calm", "schema": "how it looks", "csv": "calm"}


def add(path: Path, behind: str, line: str) -> None:
    text = path.read_text()
    assert text.count(behind) == 1
    path.write_text(text.replace(behind, behind + line))
