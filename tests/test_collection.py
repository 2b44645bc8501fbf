"""All workers of a run read all files of tests: what takes long to import waits until a test uses it."""

from __future__ import annotations

import pytest

from conftest import LOADED
from heavy import PACKAGES


def test_reading_the_tests_loads_no_heavy_package(pytestconfig: pytest.Config) -> None:
    loaded = pytestconfig.stash[LOADED]
    assert not PACKAGES & loaded, "import it by tests/heavy.py"
