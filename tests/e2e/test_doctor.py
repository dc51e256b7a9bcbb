"""`recarena doctor`, run as people run it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recarena.server.cli import app
from recarena.server.rpc.callers import Role
from recarena.server.rpc.tokens import TokenFile
from support.certificates import DAY, Authority
from support.commands import Ended, free_port, recarena, started

Findings = dict[str, dict[str, Any]]


async def examined(*words: object, cwd: Path, code: int = 0) -> Findings:
    """The findings by name; of several under one name the worst. Found in this process: the same,
    without the wait for its imports."""
    given = ("doctor", "--listen", f"127.0.0.1:{free_port()}", *map(str, words), "--json")
    with contextlib.chdir(cwd):
        said = await asyncio.to_thread(CliRunner().invoke, app, given)
    ended = Ended(said.exit_code, said.stdout, said.stderr)
    assert ended.code == code, ended
    assert ended.err == ""
    order = ["ok", "note", "warn", "FAIL"]
    found: Findings = {}
    for one in ended.values:
        assert set(one) == {"check", "level", "text", "remedy"}
        assert one["text"]
        assert one["remedy"] or one["level"] in ("ok", "note")
        worst = found.setdefault(one["check"], one)
        if order.index(one["level"]) > order.index(worst["level"]):
            found[one["check"]] = one
    assert code == int(any(one["level"] == "FAIL" for one in found.values()))
    return found


async def test_where_all_is_well_nothing_fails(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    found = await examined(cwd=tmp_path)
    assert {one["level"] for one in found.values()} <= {"ok", "note", "warn"}
    for name in ("python", "packages", "dependencies", "protos", "clock", "listen", "loopback"):
        assert found[name]["level"] == "ok", found[name]
    assert list((tmp_path / "runs").iterdir()) == []


async def test_people_get_a_table_with_remedies(tmp_path: Path):
    ended = await recarena("doctor", "--listen", "nowhere", cwd=tmp_path)
    assert ended.code == 1
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["FAIL", "listen", "--listen:", "'nowhere'", "is", "no", "HOST:PORT"] in lines
    assert ["→", "For", "example", "127.0.0.1:7788"] in lines
    assert lines[-1][:2] == ["1", "failed,"]


async def test_it_takes_the_options_of_the_server(here: Callable[..., Ended], tmp_path: Path):
    def options(command: str) -> set[str]:
        said = here(command, "--help", cwd=tmp_path).went_well().out
        return {word.rstrip(",") for word in said.split() if word.startswith("--")}

    # Where it listens is said; how it logs and that it is meant to be open are no matter here.
    assert options("serve") - options("doctor") <= {"--verbose", "--insecure"}


@pytest.mark.parametrize(("folder", "level"), [("there", "ok"), ("missing", "FAIL")])
async def test_it_looks_for_recordings_where_runs_are_to_take_them_from(
    folder: str, level: str, tmp_path: Path
):
    (tmp_path / "there" / "run").mkdir(parents=True)
    (tmp_path / "there" / "run" / "llm.sqlite").touch()
    failed = int(level == "FAIL")
    found = await examined("--llm-recordings", folder, cwd=tmp_path, code=failed)
    assert found["llm recordings"]["level"] == level
    assert found["llm recordings"]["text"] == (
        f"{folder} is no folder" if failed else f"1 in {folder}"
    )


# ------------------------------------------------------------------------------ addresses
async def test_a_port_that_is_taken_fails(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        found = await examined("--listen", place, "--metrics", place, cwd=tmp_path, code=1)
    for name in ("listen", "metrics"):
        assert found[name]["level"] == "FAIL"
        assert f"--{name}: cannot listen on {place}: Address already in use" in found[name]["text"]
        assert "another port" in found[name]["remedy"]


async def test_an_address_that_others_reach_wants_tls_and_tokens(tmp_path: Path):
    found = await examined("--listen", "0.0.0.0:0", cwd=tmp_path)
    assert found["exposure"]["level"] == "warn"
    assert "--tls-cert" in found["exposure"]["remedy"]


# ------------------------------------------------------------------------------ certificates
async def test_certificates_that_fit_are_told_of(tmp_path: Path):
    ca = Authority(tmp_path, lifetime=30 * DAY)
    own = ca.server(lifetime=20 * DAY)
    own.key.chmod(0o600)
    found = await examined(
        "--tls-cert", own.certificate, "--tls-key", own.key, "--client-ca", ca.certificate,
        "--listen", "0.0.0.0:0", cwd=tmp_path,
    )  # fmt: skip
    assert found["tls"]["level"] == found["client ca"]["level"] == "ok"
    assert "19 days" in found["tls"]["text"]
    assert "localhost, 127.0.0.1" in found["tls names"]["text"]
    assert found["exposure"]["level"] == "ok"
    assert "tls key" not in found


async def test_a_certificate_that_has_expired_fails(tmp_path: Path):
    own = Authority(tmp_path).server(lifetime=-DAY)
    found = await examined(
        "--tls-cert", own.certificate, "--tls-key", own.key, cwd=tmp_path, code=1
    )
    assert found["tls"]["level"] == "FAIL"
    assert "expired on" in found["tls"]["text"]
    assert "new one" in found["tls"]["remedy"]


async def test_a_certificate_that_will_soon_expire_is_a_warning(tmp_path: Path):
    own = Authority(tmp_path).server(lifetime=3 * DAY)
    found = await examined("--tls-cert", own.certificate, "--tls-key", own.key, cwd=tmp_path)
    assert (found["tls"]["level"], "2 days" in found["tls"]["text"]) == ("warn", True)


async def test_the_key_of_another_certificate_fails(tmp_path: Path):
    ca = Authority(tmp_path)
    own, other = ca.server(), ca.server(name="other")
    found = await examined(
        "--tls-cert", own.certificate, "--tls-key", other.key, cwd=tmp_path, code=1
    )
    assert "is not the key of" in found["tls"]["text"]


async def test_a_certificate_without_its_key_fails(tmp_path: Path):
    own = Authority(tmp_path).server()
    found = await examined("--tls-cert", own.certificate, cwd=tmp_path, code=1)
    assert "go together" in found["tls"]["text"]


async def test_a_key_that_everybody_may_read_is_a_warning(tmp_path: Path):
    own = Authority(tmp_path).server(lifetime=20 * DAY)
    own.key.chmod(0o644)
    found = await examined("--tls-cert", own.certificate, "--tls-key", own.key, cwd=tmp_path)
    assert (found["tls key"]["level"], found["tls key"]["remedy"]) == (
        "warn",
        f"chmod 600 {own.key}",
    )


# ------------------------------------------------------------------------------ tokens
async def test_tokens_are_counted(tmp_path: Path):
    path = tmp_path / "tokens.json"
    for days in (-1, 3, 90):
        TokenFile(path).new(Role.RECOMMENDER, "ease", days * DAY)
    found = await examined("--tokens", path, cwd=tmp_path)
    assert found["tokens"]["level"] == "warn"
    assert "expire within 14 days" in found["tokens"]["text"]
    path.chmod(0o604)
    found = await examined("--tokens", path, "--json", cwd=tmp_path)
    assert found["tokens"]["level"] == "warn"


@pytest.mark.parametrize("text", [None, "[", '{"version": 9, "tokens": []}'])
async def test_a_file_of_tokens_that_is_none_fails(tmp_path: Path, text: str | None):
    path = tmp_path / "tokens.json"
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    found = await examined("--tokens", path, cwd=tmp_path, code=1)
    assert found["tokens"]["level"] == "FAIL"
    assert found["tokens"]["text"].startswith("--tokens")


# ------------------------------------------------------------------------------ runs
async def test_a_run_that_is_damaged_fails_and_the_others_do_not(shop, tmp_path: Path):
    runs = tmp_path / "runs"
    for name in ("good", "bad"):
        await _copy(shop.folder / "runs" / "whole", runs / name)
    found = await examined("--runs", runs, cwd=tmp_path)
    assert found["run folders"]["text"] == "2, all can be read"
    (runs / "bad" / "manifest.json").write_text("{")
    (runs / ".new.making").mkdir()
    found = await examined("--runs", runs, cwd=tmp_path, code=1)
    assert found["run bad"]["level"] == "FAIL"
    assert "run good" not in found
    assert ".new.making" in found["run folders"]["text"]


async def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target)
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps({**manifest, "run_id": target.name}))


async def test_a_run_that_another_process_plays_is_noted(shop, tmp_path: Path):
    await _copy(shop.folder / "runs" / "whole", tmp_path / "runs" / "busy")
    words = ("run", "new:users=20,seed=1", "--remote", "nobody", "--listen", "127.0.0.1:0")
    async with started(*words, "--runs", "runs", "--name", "mine", "--json", cwd=tmp_path) as live:
        assert await live.event("serving")
        found = await examined("--runs", "runs", cwd=tmp_path)
        assert found["run mine"]["level"] == "note"
        assert f"process {live.process.pid}" in found["run mine"]["text"]
        assert "run busy" not in found


async def test_a_folder_that_cannot_be_one_fails(tmp_path: Path):
    (tmp_path / "file").touch()
    found = await examined("--runs", "file", cwd=tmp_path, code=1)
    assert found["runs"]["text"] == "file is no folder"


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path):
    found = await examined("--runs", "a/b/runs", cwd=tmp_path)
    assert found["runs"]["level"] == "note"
    assert os.listdir(tmp_path) == []
