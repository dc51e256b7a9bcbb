"""The `recarena` program as people and scripts use it."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import sys

import pytest
import typer

from recarena.server.cli import app
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventKind
from support.columns import assert_same
from support.commands import recarena, started
from support.workshop import HISTORY, PLAY, ROUNDS


# ------------------------------------------------------------------------------ help
def commands(group: typer.core.TyperGroup, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, one in group.commands.items():
        if isinstance(one, typer.core.TyperGroup):
            found += commands(one, (*path, name))
        else:
            found.append((*path, name))
    return found


COMMANDS = commands(typer.main.get_command(app))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", COMMANDS, ids=[" ".join(path) or "-" for path in COMMANDS])
def test_the_help_of_every_command_shows_an_example(path, here, tmp_path):
    said = here(*path, "--help", cwd=tmp_path).went_well().out
    about = said.partition("\n")[2].split("Options:")[0]  # what follows the line of usage
    assert "recarena" in about
    assert list(tmp_path.iterdir()) == []


async def test_the_program_says_its_version_and_what_it_can_do(tmp_path):
    said = (await recarena("--version", cwd=tmp_path)).went_well().out
    assert said.startswith("recarena ")
    said = (await recarena("--help", cwd=tmp_path)).went_well().out
    assert all(path[0] in said for path in COMMANDS if path)
    assert (await recarena("show", "nowhere", cwd=tmp_path)).failed().startswith("recarena: ")


# ------------------------------------------------------------------------------ worlds
def test_a_new_world_is_what_was_asked_for(shop):
    made = shop.made.value
    assert made["world"] == "world"
    assert made["users"] == 60
    shown = shop.run("world", "show", "world", "--json").went_well().value
    again = shop.run("world", "show", f"new:users=60,seed=4,history={HISTORY}", "--json")
    for key, value in again.went_well().value.items():
        assert shown[key] == value, key
    for_people = shop.run("world", "show", "world").went_well().out
    assert "60" in for_people


def test_a_world_is_not_written_over_another(shop):
    assert "there already" in shop.run("world", "new", "world").failed()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("world", "show", "nowhere"), "nowhere"),
        (("world", "show", "new:user=3"), "users=NUMBER"),
        (("world", "show", "empty"), "empty"),
        (("world", "show", "broken"), "world.json"),
        (("world", "import", "nowhere", "made"), "nowhere"),
        (("world", "import", "empty", "made"), "neither a MovieLens nor a RecAgent folder"),
        (("world", "import", "half", "made"), "half/u.user: the file is missing"),
        (("world", "import", "empty", "made", "--layout", "ml-5m"), "ml-100k"),
        (("run", "nowhere", "-r", "popular"), "nowhere"),
        (("run", "broken", "-r", "popular"), "world.json"),
        (("run", "world"), "--recommender"),
        (("run", "world", "-r", "mine=./mine"), "{server}"),
        (("run", "world", "-r", "no-such-thing=no-such-thing {server}"), "no-such-thing"),
        (("run", "world", "-r", "popular", "--name", "No Name"), "name"),
        (("run", "world", "-r", "popular", "--name", "whole"), "whole"),
        (("run", "world", "-r", "popular", "-r", "popular"), "popular"),
        (("run", "world", "-r", "popular", "--config", "none.toml"), "none.toml"),
        (("run", "world", "-r", "popular", "--config", "broken.toml"), "broken.toml"),
        (("run", "world", "-r", "popular", "--config", "key.toml"), "did you mean 'activation'"),
        (("run", "world", "-r", "popular", "--config", "deep.toml"), "did you mean 'page_size'"),
        (("run", "world", "-r", "popular", "--config", "type.toml"), "visits.page_size"),
        (("run", "world", "-r", "popular", "--config", "taste.toml"), "choice."),
        (("resume", "runs/nowhere"), "nowhere"),
        (("resume", "runs/whole"), "finished"),
        (("resume", "empty"), "empty"),
        (("show", "nowhere"), "nowhere"),
        (("show", "world"), "world"),
        (("show", "runs/whole", "--user", "u00004"), "did you mean"),
        (("log", "runs/whole", "--user", "u00004"), "did you mean"),
        (("log", "runs/whole", "--user", "somebody"), "ids look like"),
        (("log", "runs/whole", "--kind", "wach"), "watch"),
        (("digest", "runs/nowhere"), "nowhere"),
        (("export", "runs/whole", "out", "--format", "xml"), "recbole"),
        (("export", "runs/whole", "world"), "world"),
        (("fork", "runs/whole", "runs/other", "--round", "99"), "99"),
        (("fork", "runs/whole", "runs/whole", "--round", "1"), "whole"),
        (("fork", "runs/whole", "runs/o", "--round", "1", "-r", "a", "-r", "b"), "1 arms"),
        (("serve", "--listen", "0.0.0.0:0"), "--insecure"),
        (("serve", "--listen", "nonsense"), "HOST:PORT"),
        (("serve", "--listen", "127.0.0.1:99999"), "HOST:PORT"),
        (("run", "world", "-r", "popular", "--listen", "0.0.0.0:0"), "--insecure"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_in_one_line(shop, here, words, says):
    folder = shop.folder
    (folder / "empty").mkdir(exist_ok=True)
    if not (folder / "broken").exists():
        shutil.copytree(folder / "world", folder / "broken")
        (folder / "broken" / "world.json").write_text("{]")
        (folder / "half").mkdir()
        (folder / "half" / "u.data").touch()
        (folder / "half" / "u.item").touch()
        (folder / "broken.toml").write_text("seed = = 3\n")
        (folder / "key.toml").write_text("[activaton]\nrate = 0.5\n")
        (folder / "deep.toml").write_text("[visits]\npagesize = 5\n")
        (folder / "type.toml").write_text('[visits]\npage_size = "many"\n')
        (folder / "taste.toml").write_text("[choice]\nleav = 1.0\n")
    before = sorted(path.name for path in (folder / "runs").iterdir())
    line = here(*words, cwd=folder).failed()
    assert line.startswith("recarena: ")
    assert says in line
    if words[0] in ("world", "fork", "serve", "export"):
        assert sorted(path.name for path in (folder / "runs").iterdir()) == before
        assert not (folder / "made").exists()
        assert not (folder / "out").exists()


@pytest.mark.parametrize("words", [("run",), ("world", "new"), ("log",), ("nonsense",)])
def test_a_wrong_command_line_is_not_a_traceback(words, here, tmp_path):
    ended = here(*words, cwd=tmp_path)
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert "Usage:" in ended.err


# ------------------------------------------------------------------------------ playing
def test_a_run_tells_machines_of_each_round_and_its_end(shop):
    values = shop.played.values
    assert [value["event"] for value in values] == ["serving", *["round"] * ROUNDS, "end"]
    assert [value["round"] for value in values[1:-1]] == list(range(1, ROUNDS + 1))
    end = values[-1]
    assert (end["state"], end["rounds"], end["error"]) == ("succeeded", ROUNDS, "")
    assert (end["seed"], end["run"]) == (5, "whole")
    assert end["mind"]["is_llm"] is False
    assert end["arms"][0]["failed_lists"] == 0
    assert sum(value["events"] for value in values[1:-1]) == sum(
        len(events) for events, _ in RunFolder.open(shop.folder / "runs/whole").rounds(1, ROUNDS)
    )
    assert "Traceback" not in (shop.folder / "runs/whole/logs/popular.log").read_text()


def test_a_run_tells_people_what_to_do_next(shop):
    words = [word for word in PLAY if word != "--json"]
    ended = shop.run(*words, "--name", "people").went_well()
    assert "recarena log runs/people --user" in ended.err
    assert shop.digest in ended.out
    assert "popular" in ended.out


def test_a_run_without_a_name_gets_the_next_free_one(shop):
    words = ("run", "world", "-r", "popular", "--rounds", 1, "--json", "--runs", "numbered")
    names = [shop.run(*words).went_well().values[-1]["run"] for _ in range(2)]
    assert len(set(names)) == 2
    assert all((shop.folder / "numbered" / name / "manifest.json").exists() for name in names)


def test_options_are_put_over_the_settings_of_the_file(shop):
    (shop.folder / "small.toml").write_text(
        'seed = 3\nrounds = 9\n[visits]\npage_size = 3\n[[arms]]\nrecommender = "ease"\n'
    )
    words = ("run", "world", "-r", "popular", "--config", "small.toml", "--rounds", 1)
    end = shop.run(*words, "--name", "set", "--json").went_well().values[-1]
    assert (end["rounds"], end["seed"]) == (1, 3)
    assert [arm["recommender"] for arm in end["arms"]] == ["popular"]
    events, _ = next(RunFolder.open(shop.folder / "runs/set").rounds(1, 1))
    assert events.of(EventKind.PAGE).position.max() == 3


async def test_ctrl_c_says_how_to_go_on(folder, shop):
    words = [word for word in PLAY if word != "--json"]
    async with started(*words, "--name", "stopped-early", cwd=folder) as live:
        assert live.process.stderr is not None
        assert b"stopped-early" in await live.process.stderr.readline()
        live.process.send_signal(signal.SIGINT)
        ended = await live.ended()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert "recarena resume runs/stopped-early" in ended.err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_a_run_that_was_interrupted_goes_on_to_the_same_end(folder, shop, how):
    name = f"interrupted-{how.name.lower()}"
    async with started(*PLAY, "--name", name, cwd=folder) as live:
        for _ in range(2):
            assert await live.event("round")
        live.process.send_signal(how)
        ended = await live.ended()
    assert ended.code == 130
    last = ended.values[-1]
    assert (last["event"], last["state"]) == ("end", "paused")
    assert 2 <= last["rounds"] < ROUNDS
    resumed = (await recarena("resume", f"runs/{name}", "--json", cwd=folder)).went_well()
    rounds = [value["round"] for value in resumed.values if value["event"] == "round"]
    assert rounds == list(range(last["rounds"] + 1, ROUNDS + 1))
    assert resumed.values[-1]["digest"] == shop.digest


async def test_a_run_that_is_under_way_cannot_be_resumed_elsewhere(folder):
    words = ("run", "world", "-r", "popular", "--rounds", 500, "--name", "busy", "--json")
    async with started(*words, cwd=folder) as live:
        assert await live.event("round")
        line = (await recarena("resume", "runs/busy", cwd=folder)).failed()
        assert "busy" in line
        shown = (await recarena("show", "runs/busy", "--json", cwd=folder)).went_well().value
        assert shown["rounds"] >= 1
        live.process.send_signal(signal.SIGINT)
        assert (await live.ended()).code == 130


def test_a_recommender_that_dies_is_named_with_its_last_words(shop):
    (shop.folder / "dies.py").write_text(
        "import sys\nprint('starting', sys.argv[1])\nsys.exit('out of cheese')\n"
    )
    command = f"mine={sys.executable} dies.py {{server}}"
    ended = shop.run("run", "world", "-r", command, "--rounds", 1, "--name", "dies")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert "the recommender mine ended with code 1" in ended.err
    assert "out of cheese" in ended.err
    assert "recarena resume runs/dies" in ended.err
    values = shop.run(
        "run", "world", "-r", command, "--rounds", 1, "--name", "dies-too", "--json"
    ).values
    assert "out of cheese" in values[-1]["error"]


def test_an_unknown_reference_recommender_is_told_by_its_own_words(shop):
    ended = shop.run("run", "world", "-r", "populer", "--rounds", 1, "--name", "typo")
    assert ended.code == 1
    assert "Did you mean popular?" in ended.err


# ------------------------------------------------------------------------------ looking
def test_show_says_what_happened(shop):
    shown = shop.run("show", "runs/whole", "--json").went_well().value
    assert shown == {k: v for k, v in shop.played.values[-1].items() if k in shown}
    assert shop.digest in shop.run("show", "runs/whole").went_well().out


def test_show_tells_of_a_user(shop):
    user = shop.played.values[-1]["example_user"]
    person = shop.run("show", "runs/whole", "--user", user, "--json").went_well().value
    assert person["user_id"] == user
    assert person["memories"]
    assert {memory["generated_by"] for memory in person["memories"]} == {"template"}
    assert person["ties"]
    assert person["name"] in shop.run("show", "runs/whole", "--user", user).went_well().out


def test_the_log_tells_every_event_and_leaves_out_what_was_not_asked_for(shop):
    everything = [event for events, _ in RunFolder.open(shop.folder / "runs/whole").rounds(
        1, ROUNDS) for event in events.kind.tolist()]  # fmt: skip
    told = shop.run("log", "runs/whole", "--json").went_well().values
    assert len(told) == sum(kind != EventKind.SHOWN for kind in everything)
    assert all(event["text"] for event in told)
    watches = shop.run("log", "runs/whole", "--kind", "watch", "--from", 3, "--json").values
    assert watches == [one for one in told if one["kind"] == "watch" and one["round"] >= 3]
    user = shop.played.values[-1]["example_user"]
    mine = shop.run("log", "runs/whole", "--user", user, "--json").went_well().values
    assert mine == [one for one in told if one["user_id"] == user]
    lines = shop.run("log", "runs/whole", "--user", user).went_well().out.splitlines()
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        one["text"] for one in mine
    ]


async def test_log_follow_tells_a_live_run_to_its_end(folder):
    words = ("run", "world", "-r", "popular", "--rounds", 12, "--name", "followed", "--json")
    async with started(*words, cwd=folder) as live:
        assert await live.event("round")
        follow = ("log", "runs/followed", "--follow", "--json")
        async with started(*follow, cwd=folder) as following:
            (await live.ended()).went_well()
            told = (await following.ended()).went_well()
    whole = (await recarena("log", "runs/followed", "--json", cwd=folder)).went_well()
    assert told.out == whole.out


def test_the_digest_is_recomputed_from_the_log(shop):
    plain = shop.run("digest", "runs/whole").went_well().out.strip()
    verified = shop.run("digest", "runs/whole", "--verify", "--json").went_well().value
    assert plain == shop.digest
    assert verified == {
        "run": "whole", "rounds": ROUNDS, "digest": shop.digest, "verified": True
    }  # fmt: skip


@pytest.mark.parametrize("format", ["parquet", "csv", "recbole", "movielens"])
def test_a_run_is_written_for_other_tools(shop, format):
    rows = shop.run("export", "runs/whole", f"out-{format}", "--format", format, "--json")
    counts = rows.went_well().value["rows"]
    target = shop.folder / f"out-{format}"
    assert counts
    assert all((target / name).stat().st_size for name in counts)
    watched = shop.played.values[-1]["arms"][0]["watch"]
    assert watched in counts.values() or watched + shop.made.value["ratings"] in counts.values() \
        or format in ("recbole", "movielens")  # fmt: skip


def test_a_fork_shares_the_rounds_before_it_and_goes_on_its_own_way(shop):
    shop.run("fork", "runs/whole", "runs/forked", "--round", 3, "-r", "random").went_well()
    shop.run("resume", "runs/forked", "--json").went_well()
    one = RunFolder.open(shop.folder / "runs/whole")
    two = RunFolder.open(shop.folder / "runs/forked")
    assert two.last_round == ROUNDS
    assert two.verify_digest() == two.digest != one.digest
    rows = [[row.digest for row in folder.round_rows()] for folder in (one, two)]
    assert rows[0][:3] == rows[1][:3]
    assert rows[0][3] != rows[1][3]
    pairs = zip(one.rounds(1, 3), two.rounds(1, 3), strict=True)
    for (left, left_memories), (right, right_memories) in pairs:
        assert_same(left, right)
        assert_same(left_memories, right_memories)
    shown = shop.run("show", "runs/forked", "--json").went_well().value
    assert [arm["recommender"] for arm in shown["arms"]] == ["random"]


def test_a_fork_with_the_same_recommender_comes_to_the_same_end(shop):
    shop.run("fork", "runs/whole", "runs/same", "--round", 2).went_well()
    end = shop.run("resume", "runs/same", "--json").went_well().values[-1]
    assert end["digest"] == shop.digest


def test_a_fork_can_play_more_rounds(shop):
    words = ("fork", "runs/whole", "runs/longer", "--round", ROUNDS, "--rounds", ROUNDS + 1)
    shop.run(*words).went_well()
    end = shop.run("resume", "runs/longer", "--json").went_well().values[-1]
    assert end["rounds"] == ROUNDS + 1


# ------------------------------------------------------------------------------ serving
async def test_a_taken_port_is_one_clear_line(folder, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = (await recarena("serve", "--listen", address, cwd=tmp_path)).failed()
        assert address in line
        words = ("run", "world", "-r", "popular", "--name", "taken", "--listen", address)
        line = (await recarena(*words, cwd=folder)).failed()
        assert address in line


async def test_a_server_serves_until_ctrl_c(tmp_path):
    async with started("serve", "--listen", "127.0.0.1:0", "--json", cwd=tmp_path) as live:
        serving = await live.event("serving")
        assert serving is not None
        host, _, port = serving["address"].rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        await writer.wait_closed()
        live.process.send_signal(signal.SIGINT)
        ended = await live.ended()
    assert ended.code == 0
    assert "Traceback" not in ended.err


async def test_logs_are_json_lines_where_stderr_is_no_terminal(tmp_path):
    async with started("serve", "--listen", "127.0.0.1:0", "-v", "--json", cwd=tmp_path) as live:
        assert await live.event("serving")
        live.process.send_signal(signal.SIGTERM)
        ended = await live.ended()
    assert ended.code == 0
    for line in ended.err.splitlines():
        assert line.startswith("Stopping") or json.loads(line)
