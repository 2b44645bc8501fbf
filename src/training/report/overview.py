"""What there is to know of labelled pictures before anything is trained on them, as one document and as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

_LISTED: Final = 40  # of a long list, in the text; the document has more
_WIDEST: Final = 40  # characters of a name


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Document):
    """Of a number that each picture has."""

    min: int
    median: float
    max: int


class DuplicateGroup(_Document):
    """Pictures with the same pixels; the first of them by name."""

    pictures: int
    names: list[str]
    labels: list[str]
    parts: list[str]


class Duplicates(_Document):
    """Pictures that are there more than once.

    Attributes:
        groups: of equal pictures.
        pictures: in all groups together.
        groups_across_parts: with pictures in several parts of the data: a model is tested on what it has seen.
        groups_across_labels: with pictures under several labels: one of them is wrong.
        shown: some of the groups, those across labels first, then those across parts.
    """

    groups: int
    pictures: int
    groups_across_parts: int
    groups_across_labels: int
    shown: list[DuplicateGroup]


class PictureNote(_Document):
    """Something about one picture."""

    name: str
    what: str


class Overview(_Document):
    """Everything.

    Attributes:
        source: where the pictures are.
        pictures: that can be read.
        labels: in index order.
        counts: pictures by part and label; one part ``all`` where the source has none.
        imbalance: pictures of the most frequent label by those of the rarest; None when a label has none.
        width: in pixels.
        height: in pixels.
        formats: of files, by name.
        modes: of colours, by Pillow's names: ``L`` is grey, ``P`` a palette.
        duplicates: by pixels.
        odd: how many pictures are unusual in some way.
        odd_pictures: which; the first hundred.
        skipped: what cannot be used, and why.
        notes: what was left out.
    """

    source: str
    pictures: int
    labels: list[str]
    counts: dict[str, dict[str, int]]
    imbalance: float | None
    width: Spread | None
    height: Spread | None
    formats: dict[str, int]
    modes: dict[str, int]
    duplicates: Duplicates
    odd: dict[str, int]
    odd_pictures: list[PictureNote]
    skipped: list[PictureNote]
    notes: list[str]


def summary(overview: Overview) -> str:
    """The document as text, for people."""
    return "\n".join(_lines(overview)) + "\n"


def label_totals(overview: Overview) -> dict[str, int]:
    """Pictures of each label, in all parts."""
    return {label: sum(part.get(label, 0) for part in overview.counts.values()) for label in overview.labels}


def _lines(overview: Overview) -> Iterator[str]:
    yield f"data      {overview.source}"
    yield f"pictures  {overview.pictures}, {len(overview.labels)} labels, {len(overview.skipped)} skipped"
    yield from ("", *_table(overview), "")
    if overview.imbalance is not None:
        yield f"imbalance {overview.imbalance:.2f} (pictures of the most frequent label by those of the rarest)"
    for name, spread in (("width", overview.width), ("height", overview.height)):
        if spread:
            yield f"{name:<9} {spread.min} to {spread.max} pixels, median {spread.median:g}"
    yield f"formats   {_counts(overview.formats)}"
    yield f"colours   {_counts(overview.modes)}"
    yield from ("", *_duplicates(overview.duplicates))
    yield from ("", f"odd pictures: {_counts(overview.odd)}")
    yield from _list([f"{each.name}: {each.what}" for each in overview.odd_pictures])
    yield from ("", f"skipped: {len(overview.skipped) or 'none'}")
    yield from _list([f"{each.name}: {each.what}" for each in overview.skipped])
    if overview.notes:
        yield from ("", "notes:", *(f"  {note}" for note in overview.notes))


def _table(overview: Overview) -> Iterator[str]:
    parts = list(overview.counts)
    wide = max((len(_cut(label)) for label in overview.labels), default=5) + 2
    yield f"{'label':<{wide}}" + "".join(f"{part:>12}" for part in parts) + f"{'together':>12}{'share':>9}"
    for label, total in label_totals(overview).items():
        numbers = "".join(f"{overview.counts[part].get(label, 0):>12}" for part in parts)
        yield f"{_cut(label):<{wide}}{numbers}{total:>12}{total / max(1, overview.pictures):>9.1%}"
    sums = "".join(f"{sum(overview.counts[part].values()):>12}" for part in parts)
    yield f"{'together':<{wide}}{sums}{overview.pictures:>12}"


def _duplicates(duplicates: Duplicates) -> Iterator[str]:
    if not duplicates.groups:
        yield "duplicates: none (by pixels)"
        return
    yield (
        f"duplicates: {duplicates.groups} groups of equal pixels, {duplicates.pictures} pictures in them; "
        f"{duplicates.groups_across_parts} across parts, {duplicates.groups_across_labels} across labels"
    )
    yield from _list([_group(group) for group in duplicates.shown], duplicates.groups)


def _group(group: DuplicateGroup) -> str:
    more = f" and {group.pictures - len(group.names)} more" if group.pictures > len(group.names) else ""
    return f"{' = '.join(group.names)}{more} ({', '.join(group.labels)})"


def _list(lines: list[str], there: int | None = None) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:_LISTED])
    if (more := (there or len(lines)) - min(len(lines), _LISTED)) > 0:
        yield f"  … and {more} more"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
