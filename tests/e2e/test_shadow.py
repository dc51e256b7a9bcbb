"""`recarena shadow` as people use it: real recommenders beside recorded ones."""

from __future__ import annotations

import io
import json
import re
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from recarena.server.cli.shadow_lists import SCHEMA
from recarena.server.cli.shadow_report import table
from support.arena import program
from support.commands import TESTS, Ended, started
from support.shadows import fingerprints
from support.workshop import ROUNDS, Workshop

BALKING = f"{sys.executable} {TESTS / 'support' / 'balking.py'} {{server}}"


GUIDE = TESTS.parent / "docs" / "shadow.md"


def in_the_guide(beginning: str) -> list[str]:
    """The words of the one command line of the guide that begins like this."""
    lines = GUIDE.read_text("utf-8").splitlines()
    (line,) = [one for one in lines if one.startswith(f"recarena {beginning}")]
    return shlex.split(line)[1:]


@pytest.fixture(scope="module")
def duel(shop: Workshop) -> Path:
    """The run of the guide: two arms in a world with history."""
    shop.run(*in_the_guide("run new:users=200"), "--json").went_well()
    return shop.folder / "runs" / "duel"


@pytest.fixture(scope="module")
def beside_both(shop: Workshop, duel: Path) -> Ended:
    """What ease comes to in the shadow of both arms, with the lists in a folder."""
    before = fingerprints(duel)
    ended = shop.run(*in_the_guide("shadow runs/duel -r ease --out lists"), "--json").went_well()
    assert fingerprints(duel) == before
    return ended


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what programs said is kept."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def by_arm(end: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["arm"]: one for one in end["arms"]}


def without_time(end: dict[str, Any]) -> dict[str, Any]:
    return {**end, "arms": [{**arm, "latency": None} for arm in end["arms"]]}


# ------------------------------------------------------------------------------ what comes out
def test_a_deterministic_recommender_agrees_with_itself_in_everything(beside_both):
    end = beside_both.values[-1]
    assert (end["event"], end["partial"], end["error"]) == ("end", False, "")
    ease = by_arm(end)["ease"]
    assert ease["compared"] == ease["asked"] > 20
    for name in ("overlap", "rbo", "identical", "hit_rate", "kendall"):
        assert ease[name] == 1, name
    assert ease["recorded_coverage"] == ease["shadow_coverage"] > 0


def test_another_recommender_agrees_less(beside_both):
    popular = by_arm(beside_both.values[-1])["popular"]
    assert popular["recommender"] == "popular"
    for name in ("overlap", "rbo", "identical", "hit_rate"):
        assert 0 <= popular[name] < 1, name
    assert popular["shadow_novelty_bits"] > popular["recorded_novelty_bits"]


def test_rounds_and_the_end_are_told_to_machines(beside_both, duel, shop):
    serving, *rounds, end = beside_both.values
    assert (serving["event"], serving["arms"]) == ("serving", ["ease", "popular"])
    assert [one["round"] for one in rounds] == [1, 2, 3]
    for name in ("asked", "compared", "watches", "hits"):
        for arm in ("ease", "popular"):
            parts = [by_arm(one)[arm][name] for one in rounds]
            assert sum(parts) == by_arm(end)[arm][name], name
    for arm in end["arms"]:
        for side in ("recorded", "shadow"):
            times = arm["latency"][side]
            assert times["works"] > 0
            assert 0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"]
            assert times["ready_ms"] > 0


def test_the_lists_bear_the_comparison_out(beside_both, shop):
    folder, end = shop.folder / "lists", beside_both.values[-1]
    table = pq.read_table(folder / "lists.parquet")
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert len(rows) == sum(arm["lists"] for arm in end["arms"])
    assert rows == sorted(rows, key=lambda row: (row["round"], row["arm"], row["user_id"],
                                                 row["step"]))  # fmt: skip
    for name, arm in by_arm(end).items():
        mine = [row for row in rows if row["arm"] == name and row["compared"]]
        assert len(mine) == arm["compared"]
        for measure in ("overlap", "rbo", "identical"):
            mean = sum(row[measure] for row in mine) / len(mine)
            assert mean == pytest.approx(arm[measure]), measure
        assert sum(row["hits"] for row in mine) == arm["hits"]
        assert sum(len(row["watched_items"]) for row in mine) == arm["watches"]
        for row in mine:
            hits = set(row["watched_items"]) & set(row["shadow_items"])
            assert len(hits) == row["hits"]
            assert (row["words"] is None) == (row["surface"] == "feed")
    said = json.loads((folder / "comparison.json").read_text("utf-8"))
    assert {**said, "event": "end", "error": ""} == end


def test_the_same_shadow_gives_the_same_comparison_and_lists_but_for_time(
    beside_both, duel, shop, here
):
    words = in_the_guide("shadow runs/duel -r ease --out again.jsonl")
    again = here(*words, cwd=shop.folder).went_well()
    assert without_time(again.values[-1]) == without_time(beside_both.values[-1])
    lines = (shop.folder / "again.jsonl").read_text("utf-8").splitlines()
    parquet = pq.read_table(shop.folder / "lists" / "lists.parquet").to_pylist()
    assert [json.loads(line) for line in lines] == parquet


def test_the_code_of_the_guide_finds_where_the_two_differ(
    beside_both, shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(shop.folder)
    exec(compile(code, str(GUIDE), "exec"), {})
    said = capsys.readouterr().out
    assert "shadow_items" in said
    assert "popular" in said


def test_every_column_of_the_lists_and_every_measure_is_in_the_guide(beside_both):
    text = GUIDE.read_text("utf-8")
    columns = text.partition("## The lists")[2]
    assert [name for name in SCHEMA.names if not re.search(rf"\b{name}\b", columns)] == []
    end = beside_both.values[-1]
    names = [*end, *end["arms"][0], *end["arms"][0]["latency"]["shadow"]]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_excerpt_of_the_guide_is_what_comes_out(beside_both):
    (excerpt,) = re.findall(r"```text\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    out = Console(width=200, file=io.StringIO())
    out.print(table(beside_both.values[-1], []))
    assert isinstance(out.file, io.StringIO)
    shown = out.file.getvalue().splitlines()
    assert [line for line in excerpt.splitlines() if line not in shown] == []
    assert len(excerpt.splitlines()) > 4


def test_people_get_a_table_that_says_what_hit_rate_is_not(shop, duel, here, kept):
    ended = here(*in_the_guide("shadow runs/duel -r popular --arm"), cwd=shop.folder).went_well()
    assert "popular in the shadow of duel: rounds 2 to 3" in ended.out
    assert "beside ease" in ended.out
    assert "beside popular" not in ended.out
    assert "it favours likeness to the recorded one" in " ".join(ended.out.split())
    assert "rank-biased overlap" in ended.out
    assert "Round 3: 2 of 2 compared" in ended.err
    assert list(kept.iterdir()) == [], "nothing is left behind where all went well"


# ------------------------------------------------------------------------------ the end of it
async def test_ctrl_c_ends_with_the_rounds_compared_so_far(shop, tmp_path):
    async with started(
        "shadow", "runs/whole", "-r", f"balking={BALKING} 3", "--out", tmp_path / "some.parquet",
        "--json", cwd=shop.folder,
    ) as live:  # fmt: skip
        for round in (1, 2):
            told = await live.event("round")
            assert told is not None
            assert told["round"] == round
        live.process.send_signal(signal.SIGINT)
        ended = await live.ended()
    assert ended.code == 130, ended
    assert "Traceback" not in ended.err
    end = ended.values[-1]
    assert (end["partial"], end["rounds_compared"], end["rounds_wanted"]) == (True, 2, ROUNDS)
    assert (end["first_round"], end["last_round"]) == (1, 2)
    assert end["arms"][0]["outcomes"]["accepted"] == end["arms"][0]["asked"] > 0
    rows = pq.read_table(tmp_path / "some.parquet").to_pylist()
    assert {row["round"] for row in rows} == {1, 2}


def test_a_shadow_that_dies_ends_it_with_its_last_words(shop, here, kept):
    ended = here("shadow", "runs/whole", "-r", f"balking={BALKING} 2 die", cwd=shop.folder)
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "the recommender balking-popular ended with code 3" in ended.err
    assert "I will not play this round." in ended.err
    assert f"1 of {ROUNDS} rounds were compared" in ended.err
    assert "PARTIAL" in ended.out


def test_a_shadow_that_answers_nothing_is_an_error(shop, here, kept):
    words = ("--rounds", 1, "--json", "-r", f"balking={BALKING} 1 refuse")
    ended = here("shadow", "runs/whole", *words, cwd=shop.folder)
    assert ended.code == 1
    end = ended.values[-1]
    assert end["error"].startswith("the shadow answered none of the lists of popular")
    logs = Path(end["error"].partition("what it said is in ")[2])
    assert "not in this round" in (logs / "balking-popular.log").read_text("utf-8")
    (arm,) = end["arms"]
    assert arm["outcomes"]["failed"] == arm["asked"] > 0
    assert (arm["answered"], arm["overlap"]) == (0, None)


def test_a_shadow_that_never_comes_is_told_with_the_remedy(shop, here):
    words = ("--remote", "nobody", "--wait", 0.3)
    ended = here("shadow", "runs/whole", *words, "--json", cwd=shop.folder)
    line = ended.failed()
    assert "0 of 1 sessions of the recommender 'nobody' came within 0.3 s" in line
    assert "Let it dial in as 'nobody' at 127.0.0.1:" in line


def test_a_program_that_registers_by_another_name_is_told_so(shop, here, kept):
    words = ("-r", f"blaking={BALKING} 1", "--wait", 1.5, "--json")
    line = here("shadow", "runs/whole", *words, cwd=shop.folder).failed()
    assert "It must register as 'blaking'; what it said is in " in line


async def test_a_shadow_dials_in_from_outside(shop, tmp_path):
    words = ("shadow", "runs/whole", "--remote", "popular", "--rounds", 2, "--json")
    async with started(*words, cwd=shop.folder) as live:
        serving = await live.event("serving")
        assert serving is not None
        assert serving["waiting_for"] == ["popular"]
        address, log = serving["address"], tmp_path / "log"
        async with program("recarena-recommender", "popular", "--server", address, log=log):
            end = (await live.ended()).went_well().values[-1]
    assert (end["rounds_compared"], end["partial"]) == (2, False)
    assert end["arms"][0]["identical"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("runs/nowhere", "-r", "ease"), "nowhere"),
        (("world", "-r", "ease"), "world"),
        (("runs/none", "-r", "ease"), "has no committed round"),
        (("runs/none", "-r", "ease"), "Play it first: recarena resume runs/none"),
        (("runs/whole",), "no shadow is named"),
        (("runs/whole", "-r", "ease", "--remote", "ease"), "two shadows are named"),
        (("runs/whole", "-r", "mine=./mine"), "{server}"),
        (("runs/whole", "-r", "mine=no-such-thing {server}"), "no program 'no-such-thing'"),
        (("runs/whole", "--remote", "No Name"), "--remote: 'No Name' is no name"),
        (("runs/whole", "-r", "ease", "--arm", "populra"), "did you mean popular?"),
        (("runs/whole", "-r", "ease", "--rounds", "7"), "has rounds 1 to 6"),
        (("runs/whole", "-r", "ease", "--rounds", "x"), "or A:B, for example 3:6"),
        (("runs/whole", "-r", "ease", "--out", "runs/whole/lists"), "is in the run"),
        (("runs/whole", "-r", "ease", "--out", "world"), "--out: world is there already"),
        (("runs/whole", "-r", "ease", "--out", "no/such/lists"), "mkdir -p no/such"),
        (("runs/whole", "-r", "ease", "--listen", "0.0.0.0:0"), "--insecure"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_in_one_line(shop, here, words, says):
    if not (shop.folder / "runs" / "none").exists():
        here("fork", "runs/whole", "runs/none", "--round", 0, cwd=shop.folder).went_well()
    assert says in here("shadow", *words, cwd=shop.folder).failed()
