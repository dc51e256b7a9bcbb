"""A competition server with real entrants: from the first submission to the reveal."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from recarena.server.rpc.callers import Role
from recarena.server.rpc.tokens import TokenFile
from support.callers import id_of
from support.certificates import Authority
from support.commands import recarena
from support.competition_hosts import Host, command, entrant, hosted, misbehaving, written
from support.thoroughness import THOROUGH
from support.wiretap import WireTap

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """One server for all tests, with the popular baseline."""
    folder = tmp_path_factory.mktemp("competition")
    written(folder, baselines=["popular"], entrants={
        "requests_per_minute": 1000, "max_submissions_per_day": 20, "connect_timeout_s": 4,
        "time_budget_s": 30, "at_once": 2,
    })  # fmt: skip
    async with hosted(folder) as one:
        yield one


class Played:
    """An entrant that was played in practice and in hidden worlds, and all it was ever sent."""

    def __init__(self, host: Host, token: str) -> None:
        self.host, self.token = host, token
        self.practice: dict[str, Any] = {}
        self.hidden: dict[str, Any] = {}
        self.over_grpc = b""
        self.over_http = b""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(host: Host) -> Played:
    made = Played(host, host.token("alice"))
    async with (
        WireTap(host.about["grpc"]) as tap,
        # The rich encoding names users by their ids, where columns have numbers.
        entrant(
            host,
            "alice",
            made.token,
            "popular",
            "--no-search",
            "--encoding",
            "rich",
            server=tap.address,
        ),
    ):
        for path in ("/", "/style.css", "/api/competition", "/api/submissions"):
            await host.ask(path)
        await connected(host, made.token)
        made.practice = await host.played(made.token, "practice", "0.9")
        made.hidden = await host.played(made.token, version="1.0")
        await ranked(host, "alice")
        await host.ask("/")
        made.over_grpc, made.over_http = tap.said, b"\n".join(host.served)
    return made


async def connected(host: Host, token: str) -> None:
    """Returns when the recommender has got in; on a busy machine its program takes long to
    start."""
    async with asyncio.timeout(60):
        while (await host.played(token, "practice"))["status"] == "not connected":
            pass


async def ranked(host: Host, name: str) -> dict[str, Any]:
    """The row of a recommender on the leaderboard, when it is there."""
    async with asyncio.timeout(60):
        while True:
            board = (await host.ask("/api/leaderboard")).json
            for row in board["rows"]:
                if row["recommender"] == name:
                    return row
            await asyncio.sleep(0.05)


# ------------------------------------------------------------------ entrants
async def test_an_entrant_practises_is_played_in_hidden_worlds_and_ranked(host, alice):
    assert (alice.practice["status"], alice.practice["worlds"]) == ("finished", 1)
    assert (alice.hidden["status"], alice.hidden["worlds_done"]) == ("finished", 2)
    assert 0 <= alice.hidden["scores"]["watch_rate"] <= 1
    row = await ranked(host, "alice")
    assert (row["version"], row["worlds"], row["submissions"]) == ("1.0", 2, 1)
    assert row["metrics"]["watch_rate"]["mean"] == alice.hidden["scores"]["watch_rate"]
    assert row["conduct"] == []


async def test_the_report_of_a_good_recommender_has_no_errors(alice):
    report = alice.hidden["report"]
    assert report["pages"]["accepted"] == sum(report["pages"].values()) > 0
    assert not any(report["items"].values())
    assert (report["errors"], report["endings"], report["unsolicited"]) == ([], {}, 0)
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]


async def test_the_baseline_plays_in_the_same_worlds_and_counts_for_nobody(host, alice):
    row = await ranked(host, "baseline-popular")
    assert (row["baseline"], row["submissions"], row["worlds"]) == (True, None, 2)


async def test_the_page_shows_everybody_to_everybody(host, alice):
    page = await host.ask("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = page.body.decode()
    assert ">alice" in text
    assert "baseline-popular" in text
    assert host.about["commitment"] in text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in text
    assert "http://" not in text.replace(host.about["http"], "")


async def test_nothing_hidden_is_in_what_an_entrant_is_ever_sent(host, alice):
    secret = json.loads((host.season / "secret.json").read_text())
    forbidden: list[bytes] = [value.encode() for value in secret.values()]
    others = [host.token("carol"), host.token("olga", Role.OPERATOR)]
    forbidden += [one.split("_", 2)[2].encode() for one in others]
    for run in sorted((host.season / "runs").glob(f"{alice.hidden['id']}-*")):
        forbidden.append(str(json.loads((run / "manifest.json").read_text())["seed"]).encode())
    names: list[bytes] = []
    for world in sorted((host.season / "worlds").glob("hidden-*")):
        users = pq.ParquetFile(world / "users.parquet").read()
        names += [name.encode() for name in users["name"].to_pylist()]
        tastes = np.array(users["taste"].to_pylist(), "<f4")
        forbidden += [row.tobytes() for row in tastes]
        user_ids = [one.encode() for one in users["user_id"].to_pylist()]
        assert not [one for one in user_ids if one in alice.over_http]
        assert [one for one in user_ids if one in alice.over_grpc]  # so the tap hears everything
    assert len(names) == 2 * 30
    for said in (alice.over_grpc, alice.over_http):
        assert len(said) > 5000
        assert [one for one in (*forbidden, *names) if one in said] == []
    hidden = [path.name.encode() for path in (host.season / "runs").iterdir()]
    mine = {f"{alice.hidden['id']}-{number}".encode() for number in (0, 1)}
    assert [one for one in hidden if one in alice.over_http and one not in mine] == []


async def test_ids_of_hidden_worlds_are_opaque_and_of_one_world_alone(host):
    ids: list[set[str]] = []
    for world in sorted((host.season / "worlds").glob("hidden-*")):
        users = pq.ParquetFile(world / "users.parquet").read()["user_id"].to_pylist()
        items = pq.ParquetFile(world / "items.parquet").read()["item_id"].to_pylist()
        ids.append({*users, *items})
    assert ids[0].isdisjoint(ids[1])
    assert not [one for one in ids[0] if one.startswith("u0000")]


async def test_who_is_not_connected_is_told_so_and_who_waits_is_told_its_place(host):
    tokens = {name: host.token(name) for name in ("bob", "dave", "erin")}
    ids = {name: (await host.submit(tokens[name]))["id"] for name in tokens}
    erin = await host.status(ids["erin"], tokens["erin"])
    assert (erin["status"], erin["position"]) == ("queued", 1)
    assert erin["expected_wait_s"] is None or erin["expected_wait_s"] >= 0
    for name in tokens:
        one = await host.ended(ids[name], tokens[name])
        assert (one["status"], one["counted"]) == ("not connected", False)
        assert f"no session of {name} dialled in within 4 s" in one["why"]


async def test_unknown_ids_are_told_by_count_and_first_error_without_places(host):
    heidi = host.token("heidi")
    async with misbehaving(host, "heidi", heidi, "--unknown-items"):
        await connected(host, heidi)
        one = await host.played(heidi)
    report = one["report"]
    assert report["items"]["unknown"] > 0
    assert report["pages"]["violations"] > 0
    first = report["errors"][0]
    assert (first["outcome"], first["field"]) == ("violations", "lists[].items[].item_id")
    assert first["text"].startswith("unknown item")
    row = await ranked(host, "heidi")
    assert any(flag.startswith("unknown ids") for flag in row["conduct"])


# ------------------------------------------------------------------ who may do what
async def test_strangers_and_those_whose_time_is_over_are_refused(host):
    expired, revoked = host.token("ivan", days=-1), host.token("judy")
    TokenFile(host.folder / "recarena-tokens.json").revoke(id_of(revoked))
    for token in ("", "nonsense", expired, revoked, "rct_00000000_" + "A" * 43):
        answer = await host.ask("/api/submissions", token, {"track": "practice"})
        assert (answer.status, answer.code) == (401, "no_token"), token


async def test_an_entrant_acts_on_its_own_recommender_and_submissions_only(host, alice):
    mallory = host.token("mallory")
    asked = await host.ask("/api/submissions", mallory, {"recommender": "alice"})
    assert (asked.status, asked.code) == (403, "not_yours")
    there = await host.ask(f"/api/submissions/{alice.hidden['id']}", mallory)
    missing = await host.ask("/api/submissions/s99999", mallory)
    assert (there.status, there.code) == (missing.status, missing.code) == (404, "no_submission")
    ended = await host.ask(f"/api/submissions/{alice.hidden['id']}/cancel", mallory, {})
    assert ended.status == 404


async def test_what_is_no_request_is_refused_with_what_is_wrong(host):
    niaj = host.token("niaj")
    for body, status, code in (
        (b"x" * 5000, 413, "too_long"), (b"{", 400, "not_json"), (b"[]", 400, "not_json"),
        ({"trak": "hidden"}, 422, "unknown_field"), ({"track": "secret"}, 422, "bad_track"),
        ({"track": 7}, 422, "bad_field"), ({"version": "x" * 65}, 422, "bad_version"),
        ({"version": "a\u202eb"}, 422, "bad_version"),
    ):  # fmt: skip
        answer = await host.ask("/api/submissions", niaj, body)
        assert (answer.status, answer.code) == (status, code), body
    assert (await host.ask("/nothing")).code == "no_such_thing"
    assert (await host.ask("/", method="DELETE")).status == 405


async def test_one_submission_at_a_time_and_its_entrant_may_end_it(host):
    olivia = host.token("olivia")
    one = await host.submit(olivia)
    again = await host.ask("/api/submissions", olivia, {"track": "hidden"})
    assert (again.status, again.code) == (409, "under_way")
    await host.ask(f"/api/submissions/{one['id']}/cancel", olivia, {})
    ended = await host.ended(one["id"], olivia)
    assert (ended["status"], ended["why"]) == ("cancelled", "cancelled by its entrant")
    late = await host.ask(f"/api/submissions/{one['id']}/cancel", olivia, {})
    assert (late.status, late.code) == (409, "ended")


async def test_the_organiser_ends_what_takes_too_long_by_the_command(host):
    peggy, olga = host.token("peggy"), host.token("organiser", Role.OPERATOR)
    async with misbehaving(host, "peggy", peggy, "--late", 20, "--at-most", 1):
        await asyncio.sleep(0)
        one = await started_with_a_work(host, peggy)
        said = await command("cancel", one["id"], "--server", host.about["http"], "--token", olga,
            "--json", cwd=host.folder,
        )  # fmt: skip
        assert said.went_well().value["id"] == one["id"]
        ended = await host.ended(one["id"], peggy)
    assert (ended["status"], ended["why"]) == ("cancelled", "cancelled by the organiser")


async def started_with_a_work(host: Host, token: str) -> dict[str, Any]:
    """A hidden submission whose recommender is there."""
    async with asyncio.timeout(60):
        while True:
            one = await host.submit(token)
            while one["status"] in ("queued", "playing"):
                if one["status"] == "playing" and not one["looked_for"]:
                    return one
                one = await host.status(one["id"], token)


# ------------------------------------------------------------------ commands
async def test_entrants_use_the_commands(host, alice):
    there = ("--server", host.about["http"])
    mine = (*there, "--token", alice.token)
    board = await command("leaderboard", *there, cwd=host.folder)
    assert "alice 1.0" in board.went_well().out
    status = await command("status", alice.hidden["id"], *mine, cwd=host.folder)
    assert "is finished; it counts." in status.went_well().out
    none = await command("status", "s99999", *mine, cwd=host.folder)
    assert none.failed() == "recarena: you have no submission 's99999'"
    elsewhere = ("--server", "http://127.0.0.1:9", "--token", alice.token)
    away = await command("submit", *elsewhere, cwd=host.folder)
    assert "does not answer as a competition server" in away.failed()


async def test_a_season_is_served_by_one_process(host):
    second = await recarena("competition", "serve", cwd=host.folder)
    assert "is being served by another process; stop it first" in second.failed()


async def test_what_is_secret_is_for_the_owner_alone(host):
    assert stat.S_IMODE(host.season.stat().st_mode) == 0o700
    assert stat.S_IMODE((host.season / "secret.json").stat().st_mode) == 0o600


async def test_settings_that_were_committed_to_cannot_be_changed(host):
    other = host.folder / "other.toml"
    other.write_text(
        (host.folder / "competition.toml").read_text().replace("users = 30", "users = 31")
    )
    said = await command("reveal", "--config", "other.toml", cwd=host.folder)
    assert "worlds.users is 31 and was 30 when the commitment was published" in said.failed()


@pytest.mark.skipif(not THOROUGH, reason="thorough: four programs more (RECARENA_THOROUGH=1)")
async def test_off_loopback_everything_is_behind_tls(tmp_path):
    ca = Authority(tmp_path / "ca")
    own = ca.server()
    files = {"tls_cert": str(own.certificate), "tls_key": str(own.key)}
    written(tmp_path, serve={"http": "0.0.0.0:0"})
    bare = await recarena("competition", "serve", cwd=tmp_path)
    assert "serve.http is '0.0.0.0:0', which can be reached from outside" in bare.failed()
    written(tmp_path, serve={**files, "tls_ca": str(ca.certificate)})
    async with hosted(tmp_path, ca.certificate) as host:
        assert host.about["http"].startswith("https://")
        alice = host.token("alice")
        words = ("random", "--tls-ca", str(ca.certificate))
        async with entrant(host, "alice", alice, *words):
            line = ("submit", "--server", host.about["http"], "--token", alice)
            said = await command(
                *line, "--tls-ca", ca.certificate, "--track", "practice", "--wait", "--json",
                cwd=tmp_path,
            )  # fmt: skip
        assert said.went_well().values[-1]["status"] == "finished"


# ------------------------------------------------------------------ restarts, and the end
async def test_a_season_survives_a_kill_and_ctrl_c_and_is_revealed(host, alice):
    folder, reveal = host.folder, ("reveal",)
    token, commitment = alice.token, host.about["commitment"]
    async with entrant(host, "alice", token, "popular", "--no-search"):
        one = await started_with_a_work(host, token)
        await host.stop(signal.SIGKILL)
    async with hosted(folder) as second:
        assert second.about["commitment"] == commitment
        async with entrant(second, "alice", token, "popular", "--no-search"):
            again = await second.ended(one["id"], token)
        assert (again["status"], again["interruptions"]) == ("finished", 1)
        # The same as that of a recommender which was never interrupted.
        assert again["scores"]["watch_rate"] == alice.hidden["scores"]["watch_rate"]
        third = await second.submit(token)
        early = await command(*reveal, cwd=folder)
        assert f"{third['id']} have not ended" in early.failed()
        assert (await second.ask("/api/submissions", token, {})).code == "closed"
        await second.ask(f"/api/submissions/{third['id']}/cancel", token, {})
        await second.ended(third["id"], token)
        (await command(*reveal, cwd=folder)).went_well()
        about = (await second.ask("/api/competition")).json
        assert about["state"] == "revealed"
        assert len(about["reveal"]["seed"]) == 64
        assert about["reveal"]["seed"] in (await second.ask("/")).body.decode()
        assert await second.stop(signal.SIGINT) == 0
    tokens = TokenFile(folder / "recarena-tokens.json").tokens()
    assert {"competition", "baseline-popular"} <= {one.name for one in tokens if one.revoked}
    assert not {"competition", "baseline-popular"} & {one.name for one in tokens if not one.revoked}

    told = folder / "spring" / "published" / "reveal.json"
    verify = ("verify", told, "--json", "--commitment")
    fine = await command(*verify, commitment, cwd=folder)
    assert [one["fine"] for one in fine.went_well().values] == [True] * 6
    wrong = await command(*verify, "0" * 64, "--no-worlds", cwd=folder)
    assert wrong.code == 1
    results = json.loads((told.parent / "results.json").read_text())
    assert {run["state"] for run in results["runs"]} == {"finished"}
    conduct = {one["recommender"]: one for one in results["conduct"]}
    assert conduct["mallory"]["refused_calls"] == {
        "submission-of-another": 2, "submit-for-another": 1,
    }  # fmt: skip
    assert conduct["baseline-popular"]["flags"] == []
