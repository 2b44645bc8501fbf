"""Tables (CSV) that name a file and its label in each row, however they are written, and the files they mean."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from framewatch.errors import DataError
from framewatch.training.data.folders import is_picture, is_video
from framewatch.training.data.samples import Sample, Skipped, part_name, plain, some

TABLES: Final = frozenset({".csv", ".tsv"})

# Names of columns by their letters and digits; of several in one table the first of these counts.
_FILE: Final = (
    "filename", "filepath", "file", "path", "imagename", "imagepath", "imagefile", "image", "imgname", "imgpath",
    "img", "imageid", "picture", "photo", "video", "videoname", "clip", "name", "id",
)  # fmt: skip
_LABEL: Final = ("label", "labels", "class", "classname", "category", "target", "emotion", "action", "activity", "y")
_PART: Final = ("usage", "split", "part", "subset", "set", "dataset", "partition")
_PIXELS: Final = ("pixels",)
_DELIMITERS: Final = ",;\t|"
_SAID: Final = re.compile(rf'"?sep=([{_DELIMITERS}])"?', re.IGNORECASE)  # a first line by which Excel knows it


@dataclass(frozen=True, slots=True)
class Table:
    """A table of labelled samples.

    Attributes:
        name: of its file.
        rows: of columns, each as it stands there; shorter ones are filled up. Can be gone through once.
        key: the column of file names, or of pixels.
        label: the column of labels.
        part: the column of parts of the data, where there is one.
        has_pixels: whether the pictures stand in the table itself.
    """

    name: str
    rows: Iterable[list[str]]
    key: int
    label: int
    part: int | None
    has_pixels: bool


def read_table(name: str, content: bytes) -> Table | str:
    """The table, or in words why it is none: it has no columns of files (or pixels) and labels.

    Raises:
        DataError: it is no table.
    """
    lines = io.TextIOWrapper(io.BytesIO(content), _encoding(content), errors="replace", newline="")
    header = lines.readline()
    lines.seek(0)
    said = _SAID.fullmatch(header.rstrip("\r\n"))
    if said:
        lines.readline()
    rows = _rows(name, lines, said[1] if said else max(_DELIMITERS, key=header.count))
    titles = next(rows, [])
    columns = [plain(title) for title in titles]
    pixels, key = _column(columns, _PIXELS), _column(columns, _FILE)
    label = _column([column if i != key else "" for i, column in enumerate(columns)], _LABEL)
    where = key if pixels is None else pixels
    if where is None or label is None:
        return _why_none(titles, where is None, label is None)
    filled = (row + [""] * (len(columns) - len(row)) for row in rows)
    return Table(name, filled, where, label, _column(columns, _PART), pixels is not None)


def match(tables: Sequence[Table], names: Sequence[str]) -> tuple[list[Sample], list[Skipped], list[str]]:
    """Samples, rows that are none, and notes.

    A row's file is the one at that path, from the table or from the top; else, as paths may come from another
    machine, the one that shares most of its end; of several, the one in the folder of the row's part of the data.
    Where that part has a folder, one of that name alone in the folder of another part is another picture.

    Args:
        tables: of files and labels.
        names: of the source's objects.
    """
    files = _Files(names)
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for table in tables:
        path = PurePosixPath(table.name)
        of_table = part_name(path.stem) or part_name(path.parent.name)
        for number, row in enumerate(table.rows, 2):
            if not any(row):
                continue
            text, label = row[table.key].strip(), " ".join(row[table.label].split())
            part = of_table if table.part is None else (part_name(row[table.part]) or of_table)
            found = files.of(text, part, table.name)
            if isinstance(found, str) and label:
                samples.append(Sample(found, label, part, (found,)))
            else:
                why = "no label" if isinstance(found, str) else _why_not(found)
                skipped.append(Skipped(f"{table.name} row {number} {text!r}", why))
    used = Counter(sample.name for sample in samples)
    return samples, skipped, _notes(tables, used, files.names)


class _Files:
    """Files by what a table may call them."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [name for name in names if is_picture(name) or is_video(name)]
        self._known = set(self.names)
        self._parts = {_part_of(name) for name in self.names}
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for name in self.names:
            path = PurePosixPath(name.casefold())
            for end in {path.name, path.stem}:
                self._by_end[end].append(name)

    def of(self, text: str, part: str | None, table: str) -> str | list[str]:
        """The file a row of the table means, or all that it could mean."""
        wanted = text.replace("\\", "/").removeprefix("./")
        for name in (table[: table.rfind("/") + 1] + wanted, wanted):
            if name in self._known:
                return name
        path = wanted.casefold().split("/")
        candidates = self._by_end.get(path[-1], [])
        if part and part in self._parts:
            # Train and test often have an Image_1.jpg each: the other one's is another picture.
            candidates = [n for n in candidates if _part_of(n) in (None, part) or _shared(path, n)]
        if len(candidates) > 1:
            most = max(_shared(path, name) for name in candidates)
            candidates = [name for name in candidates if _shared(path, name) == most]
        if len(candidates) > 1:
            candidates = [n for n in candidates if part and _part_of(n) == part] or candidates
        return candidates[0] if len(candidates) == 1 else candidates


def _part_of(name: str) -> str | None:
    return part_name(name.split("/", 1)[0])


def _shared(path: Sequence[str], name: str) -> int:
    """How many folders before the last one are the same."""
    folders = zip(path[-2::-1], name.casefold().split("/")[-2::-1], strict=False)
    return next(
        (i for i, (one, other) in enumerate(folders) if one != other), min(len(path), name.count("/") + 1) - 1
    )


def _why_none(titles: Sequence[str], no_files: bool, no_labels: bool) -> str:
    if not titles:
        return "nothing in it"
    missing = "columns of file names and labels" if no_files and no_labels else None
    missing = missing or ("column of file names" if no_files else "column of labels")
    return f"no {missing} among {some(titles)}"


def _why_not(candidates: Sequence[str]) -> str:
    return f"could be any of {some(candidates)}" if candidates else "there is no such picture"


def _notes(tables: Sequence[Table], used: Counter[str], names: Sequence[str]) -> list[str]:
    where = some(table.name for table in tables)
    twice = [name for name, count in used.items() if count > 1]
    left = [name for name in names if name not in used]
    notes = [f"{len(twice)} pictures stand in several rows of {where}: {some(twice)}"] if twice else []
    return [*notes, f"{len(left)} pictures in no row of {where} left out: {some(left)}"] if left else notes


def _rows(name: str, lines: io.TextIOWrapper, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter)
    except csv.Error as error:
        raise DataError(f"{name}: not a table that can be read: {error}") from None


def _column(columns: Sequence[str], names: Sequence[str]) -> int | None:
    return next((columns.index(name) for name in names if name in columns), None)


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), 1 << 20):
            decoder.decode(content[start : start + (1 << 20)])
    except UnicodeDecodeError:
        return "cp1252"  # as spreadsheets write it
    return "utf-8-sig"
