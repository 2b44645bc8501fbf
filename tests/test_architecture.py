"""Who may import whom, and what may be done in one place only.

Imports are held by the contracts in pyproject.toml, which import-linter reads; what it cannot say is read from the
sources here.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conftest import REPOSITORY

SRC = REPOSITORY / "src"
FILES = sorted(SRC.rglob("*.py"))
ROOMS = {path.name for path in SRC.iterdir() if path.is_dir() and (path / "__init__.py").exists()}

COMMANDS = {"producer/__main__.py", "consumer/__main__.py"}  # the same as `framewatch produce` and `consume`

KAFKA_CLIENTS = {"Producer", "Consumer", "AdminClient"}
MAKE_KAFKA_CLIENTS = {"kafka/clients.py"}
OPEN_CONNECTIONS = {"make_producer", "make_dead_letter_producer", "make_consumer", "make_frame_reader", "open_store"}
MAKE_STORE_CLIENTS = {"storage/mongo/client.py"}
MAKE_OBJECT_CLIENTS = {"objects/s3.py"}
OPEN_OBJECTS = {"producer/sources/bucket.py"}  # a source like any other address
EDGE = ("cli/", "wiring/")  # where programs are put together

# Imports by a name in a text, which no contract sees.
IMPORT_BY_NAME = {
    "cli/__init__.py": {"f'framewatch.cli.{cmd_name}'"},
    "vision/models/openvino_runtime.py": {"'openvino'"},
}

# What may not be called where there is no I/O.
FILE_CALLS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}
CLOCKS = {"sleep", "monotonic", "perf_counter", "now", "utcnow", "time", "time_ns"}
FORBIDDEN_CALLS = {"activity/": FILE_CALLS | CLOCKS, "model/": FILE_CALLS}

# Where the environment is used otherwise than read for a setting: to know our children, for OpenCV and TensorFlow.
ENVIRONMENT = {
    "embedded/guard.py": {
        "if process.pid != os.getpid() and process.environ().get(MARK) == mark:\n"
        "    yield Guarded('', process.pid, process.create_time(), _UNKNOWN_S)"
    },
    "training/fit/tf_logging.py": {"os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')"},
    "producer/sources/capture.py": {
        "os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')",
        "own = os.environ.get(_OPTIONS)",  # the user's, put back afterwards
        "os.environ[_OPTIONS] = merged_options(own or '', ours)",
        "del os.environ[_OPTIONS]",
        "os.environ[_OPTIONS] = own",
    },
}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def imported(path: Path) -> Iterator[str]:
    """Names of everything imported anywhere in the file, also inside functions and for types only."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Everything called in the file, with its last name, by the names it was imported under."""
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
            yield aliases.get(name, name), node


def callers(*names: str) -> set[str]:
    """Files that call one of these."""
    return {name_of(path) for path in FILES if any(name in names for name, _ in calls(path))}


def below_the_edge(files: set[str]) -> set[str]:
    return {name for name in files if not name.startswith(EDGE)}


def lint_imports(source_root: Path) -> subprocess.CompletedProcess[str]:
    """The verdict on the package framewatch in a folder, by the contracts of this repository."""
    return subprocess.run(
        [
            Path(sysconfig.get_path("scripts")) / "lint-imports",
            "--no-cache",
            REPOSITORY / "pyproject.toml",
        ],
        cwd=source_root,
        env={**os.environ, "PYTHONPATH": str(source_root), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the sources."""
    shutil.copytree(SRC, tmp_path / "framewatch", ignore=shutil.ignore_patterns("__pycache__", "static", "templates"))
    return tmp_path


def test_there_is_something_to_read() -> None:
    assert {"vision", "storage", "kafka", "producer", "consumer", "embedded", "web", "wiring", "cli"} <= ROOMS
    assert len(FILES) > 100


def test_no_room_imports_what_it_must_not_know(copy: Path) -> None:
    verdict = lint_imports(copy)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "0 broken" in verdict.stdout


WRONG = {
    "activity/shares.py": "from framewatch.storage.mongo.client import connect",
    "activity/hours.py": "import pymongo",
    "activity/episodes.py": "import threading",
    "alerting/webhook.py": "from framewatch.consumer.stats import Stats",
    "consumer/stats.py": "from framewatch.producer.pace import Pace",
    "consumer/offsets.py": "import flask",
    "embedded/jars.py": "from framewatch.vision.jpeg import encode",
    "errors.py": "from framewatch.model.event import Event",
    "kafka/record.py": "from framewatch.vision.jpeg import encode",
    "live/hub.py": "import confluent_kafka",
    "model/event.py": "import pymongo",
    "model/detection.py": "from framewatch.vision.classifier import Classifier",
    "objects/folder.py": "from framewatch.model.event import Event",
    "producer/pace.py": "from framewatch.consumer.stats import Stats",
    "settings.py": "from framewatch.consumer.stats import Stats",
    "storage/mongo/counts.py": "from framewatch.kafka.record import decode",
    "training/data/split.py": "from framewatch.storage.mongo.client import connect",
    "uploads/jobs.py": "from framewatch.web.app import create_app",
    "vision/jpeg.py": "import keras",
    "web/server.py": "from framewatch.kafka.clients import make_admin",
    "wiring/classifier.py": "import tensorflow",
    "wiring/rules.py": "import pymongo",
}


def test_wrong_imports_are_found_also_where_they_run_late(copy: Path) -> None:
    for name, line in WRONG.items():
        with (copy / "framewatch" / name).open("a") as file:
            file.write(f"\n\ndef late() -> None:\n    {line}\n")
    verdict = lint_imports(copy)
    assert verdict.returncode == 1
    imports = [
        f"framewatch.{name.removesuffix('.py').replace('/', '.')} -> {line.split()[1]}"
        for name, line in WRONG.items()
    ]
    assert [each for each in imports if each not in verdict.stdout] == []


def test_a_wrong_import_through_others_is_found(copy: Path) -> None:
    (copy / "framewatch" / "model" / "handy.py").write_text("import framewatch.errors\n")
    (copy / "framewatch" / "model" / "frame.py").write_text("import framewatch.model.handy\n")
    assert lint_imports(copy).returncode == 0
    (copy / "framewatch" / "model" / "handy.py").write_text("import pymongo\n")
    verdict = lint_imports(copy)
    assert verdict.returncode == 1
    assert "framewatch.model.frame" in verdict.stdout
    assert "framewatch.model.handy -> pymongo" in verdict.stdout


def test_every_room_has_its_rule(copy: Path) -> None:
    (copy / "framewatch" / "attic").mkdir()
    (copy / "framewatch" / "attic" / "__init__.py").touch()
    verdict = lint_imports(copy)
    assert verdict.returncode == 1
    assert "attic" in verdict.stdout


def test_a_program_started_as_a_module_is_the_command_and_nothing_more() -> None:
    assert {name_of(path) for path in FILES if path.name == "__main__.py"} == COMMANDS
    for name in COMMANDS:
        assert {module.partition(".")[0] for module in imported(SRC / name)} == {"sys", "framewatch"}
        assert {module for module in imported(SRC / name) if module != "sys"} == {"framewatch.cli"}
        assert len(tree(SRC / name).body) <= 4


def test_kafka_clients_are_made_only_at_the_edge() -> None:
    assert below_the_edge(callers(*KAFKA_CLIENTS)) <= MAKE_KAFKA_CLIENTS


def test_store_clients_are_made_in_one_place() -> None:
    assert callers("MongoClient") == MAKE_STORE_CLIENTS
    assert callers("connect") == {"storage/mongo/store.py"}


def test_object_store_clients_are_made_in_one_place_and_opened_at_the_edge() -> None:
    assert callers("S3FileSystem") == MAKE_OBJECT_CLIENTS
    assert callers("Bucket") == {"objects/open.py"}
    openers = below_the_edge(callers("open_objects"))
    assert {name for name in openers if not name.startswith("training/")} <= OPEN_OBJECTS


def test_connections_to_kafka_and_the_store_are_opened_only_where_programs_are_put_together() -> None:
    assert below_the_edge(callers(*OPEN_CONNECTIONS)) == set()


def test_nothing_is_imported_where_no_contract_sees_it() -> None:
    found = {
        name_of(path): {
            ast.unparse(node.args[0]) for name, node in calls(path) if name in {"import_module", "__import__"}
        }
        for path in FILES
    }
    assert {name: texts for name, texts in found.items() if texts} == IMPORT_BY_NAME


@pytest.mark.parametrize("room", FORBIDDEN_CALLS)
def test_rooms_without_io_open_no_file_and_read_no_clock(room: str) -> None:
    found = {
        f"{name_of(path)}: {ast.unparse(call)}"
        for path in FILES
        if name_of(path).startswith(room)
        for name, call in calls(path)
        if name in FORBIDDEN_CALLS[room]
    }
    assert found == set()


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


def test_nothing_is_imported_in_a_circle() -> None:
    names = {
        "framewatch." + name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
        for path in FILES
    }

    def needs(path: Path) -> set[str]:
        modules: set[str] = set()
        for node in tree(path).body:
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return modules & set(names)

    left = {name: needs(path) - {name} for name, path in names.items()}
    assert sum(map(len, left.values())) > 300
    while free := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in free}
    assert set(left) == set()
