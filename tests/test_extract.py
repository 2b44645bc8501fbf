"""``framewatch events`` and the extract script: everything shown, whatever is stored, and one clear line when not."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from pymongo.database import Database

from conftest import REPOSITORY, Command, Services
from framewatch.cli import main
from framewatch.cli.formatting import file_name, json_line, shown
from framewatch.embedded.home import Endpoints, Home
from framewatch.model.alert import Alert
from framewatch.model.episode import Episode
from framewatch.model.event import Event
from framewatch.model.filters import EventFilter
from framewatch.storage.mongo.alerts import AlertStore
from framewatch.storage.mongo.documents import Document, from_document, to_document
from framewatch.storage.mongo.episodes import EpisodeStore
from framewatch.storage.mongo.events import EventStore
from framewatch.vision.jpeg import encode_jpeg
from shared import free_port

MINUTE = 60_000_000
T0 = 1_795_000_000 * 1_000_000 // MINUTE * MINUTE
JPEG = encode_jpeg(np.full((24, 32, 3), (40, 120, 200), np.uint8))
ESCAPES = "\x1b]0;owned\x07\x1b[31m\x9b2J\r\n\u202e\u2028"


class Said(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


def event(**changes: object) -> Event:
    whole: dict[str, object] = {
        "stream": "front door", "run": "20261121T101500-3f9a1c", "frame": 0, "time_us": T0, "index": 0,
        "label": "face", "confidence": 0.87654, "model": "faces@1f3a", "partition": 3, "offset": 99, "crop": JPEG,
        "boundingbox": (10, 20, 64, 64),
    }  # fmt: skip
    return Event(**(whole | changes))  # type: ignore[arg-type]


@pytest.fixture
def run(services: Services, database_name: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``framewatch events ARGUMENTS`` on the test's own database."""

    def run(*arguments: object) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(["events", *map(str, arguments), "--home", str(services.home.folder), "--database", database_name])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, said.out, said.err)

    return run


# As a table.


def test_the_table_shows_the_newest_first_with_the_start_of_the_base64(store: EventStore, run: Run) -> None:
    store.add([event(frame=k, time_us=T0 + k * 1_000_000, label=f"label {k}") for k in range(5)])
    code, out, err = run("list")
    header, *rows = out.splitlines()
    assert (code, err) == (0, "")
    for column in ("time (UTC)", "stream", "frame", "label", "confidence", "box", "picture (base64)"):
        assert column in header
    assert [row.split("label ")[1][0] for row in rows] == list("43210")
    at = datetime.fromtimestamp(T0 / 1e6 + 4, UTC)
    assert rows[0].startswith(f"{at:%Y-%m-%dT%H:%M:%S}.000Z  front door ")
    encoded = base64.b64encode(JPEG).decode()
    assert f" 0.88        10 20 64 64          {encoded[:16]}… ({len(encoded)} characters)" in rows[0]


def test_the_table_has_twenty_rows_and_says_how_to_get_more(store: EventStore, run: Run) -> None:
    store.add([event(frame=k, time_us=T0 + k) for k in range(30)])
    whole = run("list")
    assert len(whole.out.splitlines()) == 1 + 20
    assert "--limit" in whole.err
    more = run("list", "--limit", 25)
    assert (len(more.out.splitlines()), more.err) == (1 + 25, "")


def test_nothing_found_is_said(run: Run) -> None:
    assert run("list") == Said(0, "no events\n", "")
    assert run("list", "--raw") == Said(0, "", "")
    assert run("count") == Said(0, "no events\n", "")
    assert run("count", "--json") == Said(0, "{}\n", "")


def test_a_time_of_the_table_can_be_given_as_since(store: EventStore, run: Run) -> None:
    store.add([event(frame=k, time_us=T0 + k * 1_000_000) for k in range(5)])
    time_of_third = run("list").out.splitlines()[3].split("  ")[0]
    assert len(run("list", "--since", time_of_third).out.splitlines()) == 1 + 3


# Which events.


def just_now_us() -> int:
    """A whole second, half a minute ago."""
    return 1_000_000 * (int(datetime.now(UTC).timestamp()) - 30)


def test_filters_choose_by_stream_label_and_time(store: EventStore, run: Run) -> None:
    now_us = just_now_us()
    some = [
        event(stream=stream, label=label, index=index, frame=k, time_us=now_us - k * 600_000_000)
        for stream in ("front door", "камера")
        for index, label in enumerate(("face", "é 😀"))
        for k in range(6)
    ]
    store.add(some)

    def found(*arguments: object) -> list[str]:
        said = run("list", "--raw", *arguments)
        assert said.code == 0
        return [json.loads(line)["_id"] for line in said.out.splitlines()]

    assert len(found()) == 24
    assert found("--stream", "камера", "--label", "é 😀", "--limit", 2) == [some[18].id, some[19].id]
    assert len(found("--since", "15m")) == 8
    assert len(found("--until", "15m", "--label", "face")) == 8
    half_an_hour_ago = datetime.now(UTC) - timedelta(minutes=25)
    assert len(found("--since", half_an_hour_ago.isoformat(), "--until", "900s")) == 4
    assert len(found("--since", f"{half_an_hour_ago.astimezone():%Y-%m-%dT%H:%M:%S}")) == 12  # local time
    assert found("--stream", "nobody") == []


def test_counts_are_by_label_most_first_also_as_json(store: EventStore, run: Run) -> None:
    now_us = just_now_us()
    store.add([event(frame=k, label="face" if k % 3 else "é 😀", time_us=now_us - k) for k in range(30)])
    assert run("count") == Said(0, "        20  face\n        10  é 😀\n", "")
    said = run("count", "--json", "--since", "10m", "--stream", "front door")
    assert json.loads(said.out) == {"face": 20, "é 😀": 10}
    assert json.loads(run("count", "--json", "--since", "5s").out) == {}


def test_only_the_confident_are_listed_and_counted(store: EventStore, run: Run) -> None:
    store.add([event(frame=k, time_us=T0 + k, confidence=k / 10) for k in range(10)])
    assert json.loads(run("count", "--json", "--min-confidence", 0.7).out) == {"face": 3}
    frames = [json.loads(line)["frame"] for line in run("list", "--raw", "--min-confidence", 0.7).out.splitlines()]
    assert frames == [9, 8, 7]


# As documents.


def test_raw_is_one_json_document_a_line_with_the_whole_crop(store: EventStore, run: Run) -> None:
    some = [event(frame=k, time_us=T0 + k, label="é 😀\n") for k in range(3)]
    store.add(some)
    said = run("list", "--raw")
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert [from_document(d) for d in documents] == list(reversed(some))
    assert all(base64.b64decode(d["crop"]) == JPEG for d in documents)
    assert datetime.fromisoformat(documents[0]["timestamp"]) == datetime.fromtimestamp(T0 / 1e6, UTC)
    assert "😀" in said.out  # readable where it can be


def test_json_has_no_value_that_json_does_not_know() -> None:
    odd = {"nan": float("nan"), "inf": [float("-inf")], "bytes": b"\x00\xff", "at": datetime(2026, 1, 2, tzinfo=UTC)}
    line = json_line(odd | {"deep": [[{"set": Path("x")}]], "flag": True, "big": 2**62})
    assert json.loads(line, parse_constant=pytest.fail) == {
        "nan": None,
        "inf": [None],
        "bytes": "AP8=",
        "at": "2026-01-02T00:00:00+00:00",
        "deep": [[{"set": "x"}]],
        "flag": True,
        "big": 2**62,
    }


# As files.


def test_images_are_files_that_decode_one_for_each_event(store: EventStore, run: Run, tmp_path: Path) -> None:
    streams = ("front door", "front_door", "front.door", "FRONT DOOR", "ποταμός", "ΠΟΤΑΜΌΣ", "e\u0301", "é", "x" * 64)
    some = [event(stream=stream, frame=frame) for stream in streams for frame in (1, 11)]
    some += [event(stream="none", crop=b""), event(index=1, model="a/b")]
    store.add(some)
    folder = tmp_path / "new" / "pictures of é"
    said = run("list", "--images", folder)
    assert said == Said(0, f"{len(some) - 1} pictures written to {folder}, 1 events have none\n", "")
    files = list(folder.iterdir())
    assert len({file.name.casefold() for file in files}) == len(some) - 1
    assert all(file.name.isascii() and file.suffix == ".jpg" and len(file.name) < 128 for file in files)
    pictures = [cv2.imread(str(file)) for file in files]
    assert all(picture is not None and picture.shape == (24, 32, 3) for picture in pictures)
    assert run("list", "--images", folder).code == 0
    assert len(list(folder.iterdir())) == len(some) - 1


@pytest.mark.parametrize(
    "document_id", ["../../etc/passwd", "-rf /", ".", "..", "", "a\0b", "C:\\x|?*", "😀", 7, None]
)
def test_a_file_name_is_safe_whatever_the_id(document_id: object) -> None:
    name = file_name(document_id)
    assert Path(name).name == name
    assert name[0].isalnum()
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set('\\/:*?"<>| ')


def test_two_ids_never_give_one_file_name() -> None:
    ids: list[object] = [
        f"{a}{sep}{b}/1" for a in ("a", "A", "é") for sep in ("/", "_", " ", "%2F") for b in ("b", "B")
    ]
    ids += [7, "7", None, "None", b"7", "x" * 300, "x" * 301]
    assert len({file_name(document_id).casefold() for document_id in ids}) == len(ids)


def test_images_into_a_place_that_is_no_folder_is_one_line(store: EventStore, run: Run, tmp_path: Path) -> None:
    store.add([event()])
    (tmp_path / "file").write_text("")
    said = run("list", "--images", tmp_path / "file" / "inside")
    assert said.code == 2
    assert said.err.startswith("framewatch: --images: got ")
    assert len(said.err.splitlines()) == 1


# Whatever others stored.


@pytest.fixture
def foreign(store: EventStore, database: Database[Document]) -> int:
    """Documents of other programs among ours; how many have a time, and so a place in a list."""
    store.add([event(), event(frame=1, label=ESCAPES, time_us=T0 + 1)])
    odd: list[Document] = [
        {"crop": None},
        {"crop": "not base64!"},
        {"crop": 5},
        {"crop": base64.b64encode(JPEG[:40]).decode()},
        {"crop": base64.b64encode(b"GIF89a").decode()},
        {"timestamp": None},
        {"timestamp": "yesterday"},
        {"confidence": "high", "boundingbox": "wide", "stream": ["a", "list"], "label": {"a": "document"}},
        {"confidence": 3, "boundingbox": [1], "frame": 1.5},
        {"time_us": 0.5},
        {"time_us": 2**62, "timestamp": None},
    ]
    database["events"].insert_many([to_document(event(frame=100 + k)) | fields for k, fields in enumerate(odd)])
    database["events"].insert_many(
        [{"_id": "bare", "time_us": T0}, {"_id": "untimed"}, {"_id": "text\x1b", "time_us": "x"}]
    )
    return 2 + len(odd) + 1


def test_odd_documents_do_not_end_the_table_and_are_shown_as_far_as_they_go(foreign: int, run: Run) -> None:
    said = run("list", "--limit", 100)
    assert said.code == 0
    assert len(said.out.splitlines()) == 1 + foreign
    for text in ("high", "wide", "['a', 'list']", "not base64! (11 characters)"):
        assert text in said.out
    assert "untimed" in said.err
    assert "text\\x1b" in said.err


def test_odd_documents_do_not_end_the_raw_list(foreign: int, run: Run) -> None:
    said = run("list", "--raw")
    documents = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == 0
    assert len(documents) == foreign
    assert {"_id": "bare", "time_us": T0} in documents
    assert {"not base64!", None, 5} <= {d.get("crop") for d in documents}


def test_odd_documents_do_not_end_the_images_and_are_named(foreign: int, run: Run, tmp_path: Path) -> None:
    said = run("list", "--images", tmp_path)
    assert said.code == 0
    assert f"{foreign - 6} pictures written" in said.out
    assert "2 events have none" in said.out
    assert len([line for line in said.err.splitlines() if "its crop is no picture" in line]) == 4
    for frame in (101, 102, 103, 104):
        assert f"/{frame}/" in said.err


def test_odd_documents_do_not_end_a_count(foreign: int, run: Run) -> None:
    period = ("--since", "1970-01-01T00:00:00Z", "--until", datetime.fromtimestamp(T0 / 1e6 + 1, UTC).isoformat())
    said = run("count", "--json", *period)
    assert said.code == 0
    assert 0 < json.loads(said.out)["face"] <= foreign


@pytest.mark.parametrize("how", [["list"], ["list", "--raw"], ["count"], ["count", "--json"]], ids=" ".join)
def test_no_control_character_reaches_the_terminal(store: EventStore, run: Run, how: list[str]) -> None:
    store.add([event(label=ESCAPES, model=ESCAPES, scores=((ESCAPES, 0.5),)), event(frame=1, label="[red]x[/red]")])
    said = run(*how)
    assert said.code == 0
    assert all(line.isprintable() for line in said.out.splitlines())
    assert len(said.out.splitlines()) <= 3
    assert "[red]x[/red]" in said.out  # nor is anything taken for markup


def test_json_keeps_every_character_of_a_text_escaped(store: EventStore, run: Run) -> None:
    store.add([event(label=ESCAPES)])
    assert json.loads(run("list", "--raw").out)["label"] == ESCAPES
    assert json.loads(run("count", "--json").out) == {ESCAPES: 1}


def test_text_is_shortened_before_it_is_shown() -> None:
    assert shown("x" * 200) == "x" * 79 + "…"
    assert shown("a\x1b\u202e") == "a\\x1b\\u202e"
    assert shown(None) == ""


# When it does not go.


def test_a_store_that_is_away_is_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Home(tmp_path)
    home.record(Endpoints("127.0.0.1:1", f"mongodb://keeper:verysecret@127.0.0.1:{free_port()}"))
    with pytest.raises(SystemExit) as ended:
        main(["events", "list", "--home", str(tmp_path)])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert said.out == ""
    assert said.err.startswith("framewatch: reading events: the store does not answer: 127.0.0.1:")
    assert len(said.err.splitlines()) == 1
    assert "secret" not in said.err


@pytest.mark.parametrize(
    "wrong",
    [
        ["list", "--limit", "0"],
        ["list", "--limit", "many"],
        ["list", "--since", "yesterday"],
        ["list", "--since", "2026-13-01"],
        ["list", "--since", "0001-01-01T00:00:00+14:00"],
        ["list", "--until", "999999w"],
        ["list", "--until", "\u0663m"],
        ["list", "--since", "10m", "--until", "20m"],
        ["list", "--stream", "a\udcff"],
        ["count", "--label", "\udcff"],
        ["list", "--raw", "--images", "x"],
        ["list", "--nonsense"],
        ["list", "--min-confidence", "2"],
        ["list", "--database", "a/b"],
        ["count", "--since", ""],
        ["delete"],
        ["delete", "--yes"],
    ],
    ids=ascii,
)
def test_a_wrong_value_is_one_line_and_exit_2(run: Run, wrong: list[str]) -> None:
    said = run(*wrong) if "--database" not in wrong else run_as_given(wrong)
    assert said.code == 2
    assert said.err.startswith("framewatch: ")
    assert len(said.err.splitlines()) == 1


def run_as_given(arguments: list[str]) -> Said:
    done = subprocess.run(
        [*FRAMEWATCH, "events", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return Said(done.returncode, done.stdout, done.stderr)


FRAMEWATCH = (sys.executable, "-c", "from framewatch.cli import main; main()")


# As people run it.


def test_the_script_is_the_same_and_ends_quietly_when_its_reader_has_enough(
    store: EventStore, services: Services, database_name: str
) -> None:
    store.add([event(frame=k, time_us=T0 + k, crop=bytes(3000)) for k in range(1000)])
    script = [sys.executable, str(REPOSITORY / "scripts" / "extract_from_database.py"), "--database", database_name]
    environment = services.environment()
    process = subprocess.Popen(
        [*script, "--raw"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout
    assert json.loads(process.stdout.readline())["frame"] == 999
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 0
    done = subprocess.run(
        [*script, "--limit", "3"], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert len(done.stdout.splitlines()) == 1 + 3
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_in_another_encoding_ends_nothing(
    store: EventStore, database_name: str, framewatch: Command, encoding: str
) -> None:
    store.add([event(label="😀", stream="камера")])
    environment = {"PYTHONIOENCODING": encoding}
    table = framewatch("events", "list", "--database", database_name, **environment)
    raw = framewatch("events", "list", "--raw", "--database", database_name, **environment)
    out, err = table.communicate(timeout=60)
    assert (table.returncode, err, len(out.splitlines())) == (0, "", 2)
    out, err = raw.communicate(timeout=60)
    assert (raw.returncode, err) == (0, "")
    assert out.isascii()
    assert json.loads(out)["label"] == "😀"


def test_output_that_takes_no_more_is_one_line(store: EventStore, database_name: str, services: Services) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    store.add([event()])
    with Path("/dev/full").open("w") as full:
        command = [*FRAMEWATCH, "events", "list", "--database", database_name]
        done = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=services.environment(),
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("framewatch: the output cannot be written: ")


# Each process tells the most memory that it had: who looks from outside now and then may miss it.
MEASURED = """
import atexit, os, re, resource
from pathlib import Path

def tell():
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text()) if status.exists() else None
    kb = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    Path(os.environ["PEAK_KB_INTO"]).write_text(str(kb))

atexit.register(tell)
from framewatch.cli import main
main()
"""


def test_twenty_thousand_rows_are_streamed(
    store: EventStore,
    database: Database[Document],
    services: Services,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    crop = random.Random(1).randbytes(2000)
    store.add([event(frame=0, time_us=T0, crop=crop)])
    for batch in range(20):  # past the counts, which no list needs
        some = [event(frame=k, time_us=T0 + k, crop=crop) for k in range(batch * 1000, batch * 1000 + 1000)]
        database["events"].insert_many([to_document(one) for one in some[batch == 0 :]])

    def peak_mb(*arguments: str) -> tuple[int, float]:
        """Lines printed, and the most memory the process had."""
        into = tmp_path / "-".join(("out", *arguments))
        environment = services.environment() | {"PEAK_KB_INTO": f"{into}.peak"}
        command = [sys.executable, "-c", MEASURED, "events", "list", "--database", database.name, *arguments]
        with into.open("w+") as out:
            subprocess.run(command, stdout=out, env=environment, check=True, timeout=200)
            out.seek(0)
            return sum(1 for _ in out), int(Path(f"{into}.peak").read_text()) / 1000

    asked = (["--raw", "--limit", "200"], ["--raw"], ["--limit", "20000"])
    with ThreadPoolExecutor(len(asked)) as pool:
        (few, small), *rest = pool.map(lambda arguments: peak_mb(*arguments), asked)
    assert few == 200
    figures = [f"  the process with 200 rows: {small:.0f} MB"]
    for name, expected, (lines, mb) in zip(("--raw", "table"), (20_000, 20_001), rest, strict=True):
        figures.append(f"  with 20,000 rows, {name}: {mb:.0f} MB")
        assert lines == expected
        assert mb < small + 15  # all of them are 60 MB as text
    with capsys.disabled():
        print("", *figures, sep="\n")


# Deletion.


def test_delete_says_how_many_and_deletes_only_when_told(
    store: EventStore, database: Database[Document], run: Run
) -> None:
    episodes, alerts = EpisodeStore(database), AlertStore(database)
    episodes.setup()
    alerts.setup()
    store.add([event(stream=stream, frame=k, time_us=T0 + k * 10_000_000) for stream in "ab" for k in range(30)])
    long = Episode("a", "face", T0, T0 + 290_000_000, 30, 0.9)
    episodes.save([long, Episode("a", "smile", T0, T0 + 9, 2, 0.9), Episode("b", "face", T0, T0 + 9, 2, 0.9)])
    for stream in "ab":
        alerts.add(Alert("staring", stream, "face", T0 + 60_000_000, T0, 60.0, "a face for a minute"))
    at = datetime.fromtimestamp(T0 / 1e6 + 95, UTC).isoformat()
    chosen = ("--stream", "a", "--until", at)
    told = "10 events, 2 episodes, 1 alerts"
    assert run("delete", *chosen) == Said(0, f"{told} would be deleted: --yes does it\n", "")
    assert json.loads(run("count", "--json").out) == {"face": 60}
    assert run("delete", *chosen, "--yes") == Said(0, f"{told} deleted\n", "")
    assert json.loads(run("count", "--json").out) == {"face": 50}
    assert json.loads(run("count", "--json", "--stream", "a", "--until", at).out) == {}
    (rest,) = episodes.within(EventFilter("a"))
    assert (rest.start_us, rest.end_us) == (T0 + 95_000_000, long.end_us)
    assert [alert.stream for alert in alerts.open()] == ["b"]
    assert run("delete", "--label", "smile").out.startswith("0 events, 0 episodes, 0 alerts")
    assert run("delete", "--stream", "b", "--yes").out == "30 events, 1 episodes, 1 alerts deleted\n"
    assert json.loads(run("count", "--json", "--stream", "b", "--until", "1s").out) == {}
