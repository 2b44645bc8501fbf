"""Kafka's jars: exactly those of the lock, checked, shared, and one clear line when they cannot be had."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from jgo.maven import MavenContext

from framewatch.embedded.jars import Jar, jar_paths, locked_jars
from framewatch.errors import ServiceError
from framewatch.settings import load_settings
from test_sources import Web, file_of, serving


@pytest.fixture(scope="module")
def small() -> Jar:
    """A jar of a few kilobytes."""
    (jar,) = [jar for jar in locked_jars() if jar.artifact == "slf4j-simple"]
    return jar


@pytest.fixture(autouse=True)
def central(small: Jar, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A repository with that jar and nothing else, in the place of the one that all the world asks."""
    (jar,) = jar_paths(load_settings().cache, [small])
    with serving() as web:
        web.routes[f"/{small.group.replace('.', '/')}/{small.artifact}/{small.version}/{small.name}"] = file_of(
            jar.read_bytes()
        )
        there = partial(MavenContext, remote_repos={"central": web.address("")})
        monkeypatch.setattr("framewatch.embedded.jars.MavenContext", there)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield web


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a port on which nobody listens."""
    for name in ("https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("NO_PROXY", raising=False)


def test_a_jar_is_downloaded_once_and_then_found(tmp_path: Path, small: Jar, central: Web) -> None:
    (path,) = jar_paths(tmp_path, [small])
    assert path.stat().st_size > 1000
    before = path.stat().st_mtime_ns
    assert jar_paths(tmp_path, [small]) == [path]
    assert path.stat().st_mtime_ns == before
    assert [request.endswith(small.name) for request in central.requests].count(True) == 1


def test_a_damaged_jar_is_downloaded_again(tmp_path: Path, small: Jar) -> None:
    (path,) = jar_paths(tmp_path, [small])
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], b"x" + whole[1:]):
        path.write_bytes(damaged)
        assert jar_paths(tmp_path, [small])[0].read_bytes() == whole


def test_what_a_killed_download_left_is_not_trusted(tmp_path: Path, small: Jar) -> None:
    (path,) = jar_paths(tmp_path, [small])
    whole = path.read_bytes()
    left = tmp_path / "jars" / "part" / small.group.replace(".", "/") / small.artifact / small.version / small.name
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(whole[:100])
    path.unlink()
    assert jar_paths(tmp_path, [small])[0].read_bytes() == whole


def test_a_file_that_is_not_the_one_of_the_lock_is_refused(tmp_path: Path, small: Jar) -> None:
    other = Jar(small.group, small.artifact, small.version, "0" * 64)
    with pytest.raises(ServiceError, match="is not the file of the lock"):
        jar_paths(tmp_path, [other])
    assert not (tmp_path / "jars" / other.name).exists()


@pytest.mark.usefixtures("no_network")
def test_no_network_is_one_line_that_says_what_to_do(tmp_path: Path, small: Jar) -> None:
    with pytest.raises(ServiceError, match="Is there a network") as error:
        jar_paths(tmp_path, [small])
    assert "KAFKA_BOOTSTRAP_SERVERS" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("no_network")
def test_with_all_jars_there_no_network_is_needed(tmp_path: Path, small: Jar) -> None:
    (tmp_path / "jars").mkdir()
    shutil.copy(jar_paths(load_settings().cache, [small])[0], tmp_path / "jars")
    assert jar_paths(tmp_path, [small])[0].exists()
