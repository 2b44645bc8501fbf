"""Which scripts and styles the page is made of: those that lie in its folders, so that no list of them is kept."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

_STATIC: Final = Path(str(files("framewatch.web") / "static"))
_MODULES: Final = ("lib", "parts", "views")  # folders of ES modules
_ALONE: Final = {"lib/theme.js", "lib/types.js"}  # a script of its own, and one that only the type checker reads


class Assets(NamedTuple):
    """Addresses under ``/static/``.

    Attributes:
        styles: style sheets, in the order of their names, which is the order in which they hold.
        modules: what the page's script imports, so that browsers fetch all of it at once.
    """

    styles: tuple[str, ...]
    modules: tuple[str, ...]


@cache
def assets() -> Assets:
    """As they are in this version."""
    modules = [name for folder in _MODULES for name in _names(f"{folder}/*.js") if name not in _ALONE]
    return Assets(tuple(_names("styles/*.css")), tuple(modules))


def _names(pattern: str) -> list[str]:
    return sorted(path.relative_to(_STATIC).as_posix() for path in _STATIC.glob(pattern))
