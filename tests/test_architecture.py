"""Who may import whom, and what may be done in one place only: read from the sources themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conftest import REPOSITORY

SRC = REPOSITORY / "src"
FILES = sorted(SRC.rglob("*.py"))
ROOMS = {path.name for path in SRC.iterdir() if path.is_dir() and (path / "__init__.py").exists()}

ABOVE = {"services", "cli", "stack"}
SERVERS = {"confluent_kafka", "flask", "pymongo"}
FORBIDDEN = {
    "vision": {"training", "storage", "stream", "consumer", "producer", *ABOVE, *SERVERS},
    "activity": {"training", "vision", "consumer", "producer", *ABOVE, *SERVERS},
    "storage": {"training", "vision", "consumer", "producer", *ABOVE, *SERVERS} - {"pymongo"},
    "stream": {"training", "vision", "storage", "consumer", "producer", *ABOVE, *SERVERS} - {"confluent_kafka"},
    "producer": {"training", "storage", "consumer", *ABOVE, "flask", "pymongo"},
    "consumer": {"training", "producer", *ABOVE, "pymongo"},
    "services": {"training", "vision", "consumer", "producer", "cli", "stack", "flask"},
    "training": {"storage", "stream", "consumer", "producer", *ABOVE, *SERVERS},
}
COMMANDS = {"producer/__main__.py", "consumer/__main__.py"}  # the same as `framewatch produce` and `consume`

KAFKA_CLIENTS = {"Producer", "Consumer", "AdminClient"}
MAKE_KAFKA_CLIENTS = {"stream/kafka.py", "stack.py"}  # and all of cli
MAKE_STORE_CLIENTS = {"storage/mongo.py"}
MAKE_OBJECT_CLIENTS = {"bucket.py"}  # and open_objects makes the bucket
OPEN_OBJECTS = {"producer/buckets.py"}  # a source like any other address; and all of cli, and training

# Where the environment is used otherwise than read for a setting: for children, OpenCV and TensorFlow.
ENVIRONMENT = {
    "services/process.py": {"env={**os.environ, **self.env}"},
    "training/quiet.py": {"os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')"},
    "producer/capture.py": {
        "os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')",
        "os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'] = protocols",
        "del os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS']",
    },
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def room_of(path: Path) -> str:
    """The package, or the module that stands alone."""
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Top-level names of everything imported anywhere in the file, also inside functions and for types only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import, which this test cannot follow"
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "import_module",
            "importlib.import_module",
            "__import__",
        }:
            yield ast.unparse(node.args[0]).strip("'\"").partition(".")[0]


def calls(path: Path) -> Iterator[str]:
    """Last names of everything called in the file, by the names it was imported under."""
    nodes = list(ast.walk(tree(path)))
    aliases = {
        alias.asname: alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    for node in nodes:
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            yield aliases.get(name, name)


def test_there_is_something_to_read() -> None:
    assert {"vision", "storage", "stream", "producer", "consumer", "services", "cli"} <= ROOMS
    assert len(FILES) > 30


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_imports_what_it_must_not_know(room: str) -> None:
    found = [
        f"{name_of(path)} imports {module}"
        for path in FILES
        if room_of(path) == room and name_of(path) not in COMMANDS
        for module in imported(path)
        if module in FORBIDDEN[room]
    ]
    assert found == []


def test_every_room_has_its_rule() -> None:
    assert ROOMS - {"cli"} <= set(FORBIDDEN), "a new package: say in FORBIDDEN what it must not know"


def test_a_program_started_as_a_module_is_the_command_and_nothing_more() -> None:
    for name in COMMANDS:
        assert set(imported(SRC / name)) == {"sys", "cli"}
        assert len(tree(SRC / name).body) <= 4


def test_kafka_clients_are_made_only_at_the_edge() -> None:
    makers = {name_of(path) for path in FILES if KAFKA_CLIENTS & set(calls(path))}
    assert {name for name in makers if not name.startswith("cli/")} <= MAKE_KAFKA_CLIENTS


def test_store_clients_are_made_in_one_place() -> None:
    assert {name_of(path) for path in FILES if "MongoClient" in calls(path)} == MAKE_STORE_CLIENTS


def test_object_store_clients_are_made_in_one_place_and_opened_at_the_edge() -> None:
    assert {name_of(path) for path in FILES if "S3FileSystem" in calls(path)} == MAKE_OBJECT_CLIENTS
    assert {name_of(path) for path in FILES if "Bucket" in calls(path)} == {"objects.py"}
    openers = {name_of(path) for path in FILES if "open_objects" in calls(path)}
    assert {name for name in openers if not name.startswith(("cli/", "training/"))} <= OPEN_OBJECTS


def test_objects_know_nothing_of_what_they_are_for() -> None:
    ours = ROOMS | {path.stem for path in SRC.glob("*.py")}
    known = {module for name in ("objects.py", "bucket.py") for module in imported(SRC / name) if module in ours}
    assert known <= {"errors", "objects", "bucket"}


def test_connections_to_kafka_and_the_store_are_opened_only_by_cli_and_stack() -> None:
    openers = {
        name_of(path)
        for path in FILES
        if {"make_producer", "make_rare_producer", "make_consumer", "connect"} & set(calls(path))
    }
    assert {name for name in openers if not name.startswith("cli/")} <= {"stack.py"}


def test_the_environment_is_read_only_by_settings() -> None:
    found = {
        f"{name_of(path)}: {use}"
        for path in FILES
        if name_of(path) != "settings.py"
        for use in uses_of_environment(path) - ENVIRONMENT.get(name_of(path), set())
    }
    assert found == set()


def uses_of_environment(path: Path) -> set[str]:
    """The statement or named argument around each use."""
    parents = {child: node for node in ast.walk(tree(path)) for child in ast.iter_child_nodes(node)}
    uses = set()
    for found in ast.walk(tree(path)):
        name = found.attr if isinstance(found, ast.Attribute) else found.name if isinstance(found, ast.alias) else ""
        of_request = isinstance(found, ast.Attribute) and ast.unparse(found.value) == "request"  # a WSGI one
        if name in {"environ", "environb", "getenv", "getenvb", "putenv"} and not of_request:
            around = found
            while not isinstance(around, ast.stmt | ast.keyword):
                around = parents[around]
            uses.add(ast.unparse(around))
    return uses


def test_the_places_listed_for_the_environment_are_still_there() -> None:
    for name, uses in ENVIRONMENT.items():
        assert uses_of_environment(SRC / name) == uses, f"{name} has changed: bring ENVIRONMENT up to date"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_serving_needs_no_tensorflow() -> None:
    found = {
        f"{name_of(path)} imports {module}"
        for path in FILES
        if room_of(path) != "training"
        for module in imported(path)
        if module in {"tensorflow", "keras", "tf_keras", "torch"}
    }
    assert found == set()


def test_nothing_is_imported_in_a_circle() -> None:
    names = {name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}

    def needs(path: Path) -> set[str]:
        modules: set[str] = set()
        for node in tree(path).body:
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return modules & set(names)

    left = {name: needs(path) - {name} for name, path in names.items()}
    while free := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in free}
    assert set(left) == set()
