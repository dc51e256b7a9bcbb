"""The command of the conformance kit, as authors of recommenders use it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from conformance.broken import DEFECTS
from conformance.programs import CLIENTS, HERE, RECOMMENDERS, unbuilt
from recarena.conformance.wire.cases import CASES
from support import figures
from support.commands import PATIENCE, Ended
from support.thoroughness import THOROUGH

pytestmark = pytest.mark.slow
PROGRAM = Path(sys.executable).with_name("recarena-conformance")
TWENTY_LINES = [sys.executable, str(CLIENTS / "python/examples/twenty_lines.py"), "{server}"]
BROKEN = [sys.executable, str(HERE / "broken.py"), "--server", "{server}"]
NAMES = list(CASES)
TALKING = {"SEARCH", "EXPLAIN", "CONVERSE"}
OF_OLD = """
import sys
sys.path.insert(0, sys.argv[2])
from twenty_lines import Popular, serve
class OfOld(Popular):
    def start(self, run):
        super().start(run)
        self.old = set(run.catalog.available_ids)
    def ready(self, round):
        super().ready(round)
        self.best = [item_id for item_id in self.best if item_id in self.old]
serve(OfOld, "of-old", server=sys.argv[1])"""
"""Never lists what has come since its run began."""


@contextlib.asynccontextmanager
async def started(*words: object, cwd: Path | None = None):
    """The kit under way; it is stopped at the end, if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), *map(str, words), cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.communicate(), PATIENCE)


async def kit(*words: object, cwd: Path | None = None) -> Ended:
    """Runs the kit to its end."""
    async with started(*words, cwd=cwd) as process:
        out, err = await asyncio.wait_for(process.communicate(), 4 * PATIENCE)
    return Ended(process.returncode or 0, out.decode(), err.decode())


def cases(ended: Ended, verdict: str) -> list[str]:
    return [one["name"] for one in ended.value["cases"] if one["verdict"] == verdict]


def failures(ended: Ended) -> set[str]:
    """The required cases that failed."""
    return {
        one["name"]
        for one in ended.value["cases"]
        if one["verdict"] == "failed" and not one["optional"]
    }


def needing(capabilities: set[str]) -> set[str]:
    return {name for name, case in CASES.items() if set(case.needs) & capabilities}


# ------------------------------------------------------------------------------ good ones
FEWER = () if THOROUGH else ("-k", "handshake lists resuming")
"""Areas that are played with the slower programs where it is not to be thorough."""


async def test_twenty_lines_are_a_right_recommender():
    ended = (await kit("--json", "--", *TWENTY_LINES)).went_well()
    figures.report(f"conformance kit, wire suite, twenty lines: {ended.value['seconds']} s")
    assert failures(ended) == set()
    assert set(cases(ended, "not offered")) == needing(TALKING)
    assert cases(ended, "not played") == []
    assert [one["name"] for one in ended.value["cases"]] == NAMES


@pytest.mark.timeout(300)  # a virtual machine starts some sixty times
@pytest.mark.parametrize("language", RECOMMENDERS)
async def test_the_same_recommender_is_right_in_every_language(language: str):
    if reason := unbuilt(language):
        pytest.skip(reason)
    command = [*RECOMMENDERS[language], "--server", "{server}"]
    ended = (await kit("--json", *FEWER, "--", *command)).went_well()
    played = {one["name"] for one in ended.value["cases"]}
    figures.report(
        f"conformance kit, wire suite, {language}: {len(played)} cases, {ended.value['seconds']} s"
    )
    assert failures(ended) == set()
    assert set(cases(ended, "not offered")) == needing({"CONVERSE"}) & played
    assert cases(ended, "not played") == []
    assert len(played) > 25


async def test_a_program_may_read_the_servers_address_from_its_environment():
    code = (
        "import os, sys, runpy; sys.argv = ['twenty_lines', os.environ['RECARENA_SERVER']];"
        f"runpy.run_path({TWENTY_LINES[1]!r}, run_name='__main__')"
    )
    ended = await kit("-k", "handshake", "--json", "--", sys.executable, "-c", code)
    assert failures(ended.went_well()) == set()


COLUMNAR = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
import recommender
sys.argv[1:] = ["--server", sys.argv[1], "--columnar"]
sys.exit(recommender.main())"""


async def test_columnar_programs_are_played_in_columns_unless_told_otherwise():
    command = [sys.executable, "-c", COLUMNAR, "{server}"]
    words = ["-k", "answers_each_query scores_are leaves_out", "--json"]
    columnar = await kit(*words, "--", *command)
    not_offered = cases(columnar.went_well(), "not offered")
    assert not_offered == ["scores_are_finite", "leaves_out_what_is_excluded"]
    assert cases(columnar, "passed") == ["answers_each_query"]
    rich = await kit(*words, "--encoding", "rich", "--", *command)
    assert len(cases(rich.went_well(), "passed")) == 3


async def test_a_recommender_may_be_played_with_its_own_items(tmp_path: Path):
    own = [f"{number},Own film {number},Drama|Comedy" for number in range(30)]
    (tmp_path / "own.csv").write_text("\n".join(["item_id,title,categories", *own]))
    code = """
import sys
from recarena.client import Recommender, serve
class Own(Recommender):
    def rank(self, queries):
        own = [str(number) for number in range(30)]
        return [own[one.offset:][:one.result_count] for one in queries]
serve(Own, "own", server=sys.argv[1])"""
    words = ["-k", "lists_items_of_the_catalogue", "--json"]
    command = ["--", sys.executable, "-c", code, "{server}"]
    theirs = await kit(*words, "--catalog", tmp_path / "own.csv", *command)
    assert failures(theirs.went_well()) == set()
    ours = await kit(*words, *command)
    assert failures(ours) == {"lists_items_of_the_catalogue"}


async def test_the_probe_suite_is_played_by_the_same_command():
    program = [sys.executable, str(HERE / "recommender.py")]
    right = await kit("--suite", "probe", "-k", "tolerance", "--json", "--", *program)
    assert failures(right.went_well()) == set()
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import recommender\n"
        "recommender.Conforming.rank = lambda self, queries: [[] for _ in queries]\n"
        "sys.exit(recommender.main())"
    )
    wrong = await kit("--suite", "probe", "-k", "ranks_for_each_user", "--json", "--",
                      sys.executable, "-c", code)  # fmt: skip
    assert wrong.code == 1
    (failed,) = [one for one in wrong.value["cases"] if one["verdict"] == "failed"]
    assert failed["name"] == "ranks_for_each_user-rich"
    assert "[[7, 8, 9, 0], [0, 1, 2, 3], [9, 0, 1, 2]]" in failed["required"]
    assert failed["seen"] == "[[], [], []]"


# ------------------------------------------------------------------------------ broken ones
@pytest.mark.parametrize("defect", DEFECTS)
async def test_each_defect_breaks_the_case_that_names_it_and_no_neighbour(defect: str):
    broken = DEFECTS[defect]
    at = NAMES.index(broken)
    neighbours = NAMES[max(0, at - 2) : at + 3]
    ended = await kit("-k", " ".join(neighbours), "--json", "--", *BROKEN, "--defect", defect)
    assert ended.code == 1
    assert failures(ended) == {broken}
    assert set(neighbours) <= {one["name"] for one in ended.value["cases"]}


async def test_all_defects_at_once_break_just_their_cases(tmp_path: Path):
    ended = await kit("--json", "--log-dir", tmp_path / "logs", "--", *BROKEN, "--defect", "all")
    assert ended.code == 1
    assert failures(ended) == set(DEFECTS.values())
    assert set(cases(ended, "not offered")) == needing(TALKING)
    assert cases(ended, "not played") == []
    assert all((tmp_path / "logs" / f"{name}.log").exists() for name in DEFECTS.values()
               if CASES[name].judge is None)  # fmt: skip


async def test_a_failure_says_what_is_required_what_was_seen_and_how_to_fix_it(tmp_path: Path):
    words = ["-k", "leaves_out", "--log-dir", tmp_path, "--junit", tmp_path / "report.xml"]
    run = (
        "import runpy; print('I will show all of it', flush=True);"
        f"runpy.run_path({BROKEN[1]!r}, run_name='__main__')"
    )
    ended = await kit(*words, "--", sys.executable, "-c", run, *BROKEN[2:], "--defect",
                      "shows-excluded")  # fmt: skip
    assert ended.code == 1
    case = CASES["leaves_out_what_is_excluded"]
    assert f"required  {case.required}" in ended.out
    assert "seen      film-01, film-02, film-03 are listed, and were excluded" in ended.out
    assert f"fix       {case.fix}" in ended.out
    assert "I will show all of it" in ended.out
    assert "I will show all of it" in (tmp_path / "leaves_out_what_is_excluded.log").read_text()
    assert "0 passed, 1 failed" in ended.out.splitlines()[-1]
    (failure,) = Xml.parse(tmp_path / "report.xml").iter("failure")
    assert case.required in (failure.text or "")


async def test_a_failure_that_is_optional_fails_nothing(tmp_path: Path):
    report = tmp_path / "report.xml"
    cases = "lists_nothing_that_was_withdrawn lists_what_was_added"
    program = (sys.executable, "-c", OF_OLD, "{server}", Path(TWENTY_LINES[1]).parent)
    ended = await kit("-k", cases, "--junit", report, "--", *program)
    assert "failed, optional" in ended.went_well().out
    suite = Xml.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "1")
    passed, skipped = suite.findall("testcase")
    assert passed.get("classname") == "recarena.wire.catalogue"
    assert list(passed) == []
    (why,) = skipped.findall("skipped")
    assert (why.get("message") or "").startswith("optional")


async def test_a_program_that_does_not_register_fails_the_first_case_and_nothing_else_is_played():
    code = """
import sys, grpc
from recarena.v1.recommender_service_pb2 import ConnectRequest
from recarena.v1.recommender_service_pb2_grpc import RecommenderServiceStub
from recarena.v1.session_pb2 import Pong
channel = grpc.insecure_channel(sys.argv[1])
for _ in RecommenderServiceStub(channel).Connect(iter([ConnectRequest(pong=Pong(nonce=1))])):
    pass"""
    ended = await kit("--json", "--", sys.executable, "-c", code, "{server}")
    assert ended.code == 1
    assert cases(ended, "failed") == ["registers_first"]
    assert cases(ended, "not played") == NAMES[1:]
    assert ended.value["cases"][0]["seen"] == "pong came first"


# ------------------------------------------------------------------------------ wrong use
SILENT = [sys.executable, "-c", "import signal; signal.pause()"]
WRONG: dict[str, tuple[list[Any], str]] = {
    "no command": ([], "no command"),
    "no such command": (["--", "no-such-recommender"], "no-such-recommender: command not found"),
    "no program": (["--", str(HERE)], "Permission denied"),
    "dies at once": (["--", sys.executable, "-c", "raise SystemExit('I am ill')"], "I am ill"),
    "never dials in": (
        ["--start-timeout", "1", "--", *SILENT], "put {server} where the command takes",
    ),
    "never dials in where it is told to": (
        ["--start-timeout", "1", "--", *SILENT, "{server}"], "opened no stream within 1 s",
    ),
    "picks nothing": (["-k", "no_such_case", "--", *TWENTY_LINES], "--list shows them"),
    "no such catalogue": (["--catalog", "no.csv", "--", *TWENTY_LINES], "no.csv: No such file"),
    "no such folder": (
        ["-k", "registers", "--junit", "no/such/r.xml", "--", *TWENTY_LINES], "--junit no/such",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_wrong_use_is_one_error_that_tells_the_remedy(wrong: str, tmp_path: Path):
    words, told = WRONG[wrong]
    ended = await kit(*words, cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith("recarena-conformance: ")
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


async def test_an_unknown_option_is_wrong_use():
    ended = await kit("--no-such-option", "--", *TWENTY_LINES)
    assert ended.code == 2
    assert "--no-such-option" in ended.err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_kit_that_is_stopped_leaves_nothing_running(how: signal.Signals, tmp_path: Path):
    os.mkfifo(held := tmp_path / "held")
    # The shell and its child both hold the pipe open: its end is theirs.
    script = f"trap '' INT TERM; exec 3>{held}; sleep 1000 & echo up >&3; wait"
    async with started("--", "sh", "-c", script) as process:
        with held.open() as pipe:
            assert await asyncio.to_thread(pipe.readline) == "up\n"
            process.send_signal(how)
            _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
            assert await asyncio.to_thread(pipe.read) == ""
    assert process.returncode == 130
    assert err.decode() == "recarena-conformance: stopped before the end\n"


async def test_every_case_is_listed_with_what_it_requires():
    ended = (await kit("--list")).went_well()
    for name in NAMES:
        assert name in ended.out
    assert CASES["lists_no_item_twice"].required in ended.out
