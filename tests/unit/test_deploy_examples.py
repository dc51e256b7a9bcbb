"""The examples of deployment say what the program and systemd understand."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from recarena.server.cli import app
from recarena.server.rpc.security import Security
from recarena.server.rpc.server import Server
from recarena.server.rpc.tls import Tls
from support.certificates import Authority
from support.commands import free_port

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples" / "deploy"
UNIT = (DEPLOY / "recarena.service").read_text("utf-8")
README = (DEPLOY / "README.md").read_text("utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
PROGRAM = "/opt/recarena/bin/recarena"


def settings_of(name: str) -> list[str]:
    """All values of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT, re.M)


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, each in one line."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.M).replace("\\\n", " ")
    found = [line.partition(" ")[::2] for line in text.splitlines() if line]
    assert all(name.isupper() for name, _ in found)
    return found


def of_the_image(name: str) -> list[str]:
    """What the last stage says."""
    last = [at for at, (one, _) in enumerate(instructions()) if one == "FROM"][-1]
    return [value for one, value in instructions()[last:] if one == name]


def commands() -> dict[str, list[str]]:
    """Each use of the program in the examples, by where it stands."""
    found: dict[str, list[str]] = {}
    for name in ("ExecStart", "ExecStartPre"):
        (line,) = settings_of(name)
        program, *words = shlex.split(line)
        assert program.lstrip("-") == PROGRAM
        found[name] = words
    (entry,) = of_the_image("ENTRYPOINT")
    (command,) = of_the_image("CMD")
    assert json.loads(entry) == ["recarena"]
    found["CMD"] = json.loads(command)
    blocks = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
    for line in blocks.splitlines():
        if match := re.search(r"(?:/bin/recarena|recarena recarena) (\w.*)", line):
            found[line] = shlex.split(match[1])
    return found


COMMANDS = commands()


def parsed(words: list[str]) -> Any:
    """The command's values, as the program would read them; it raises for an unknown option."""
    group: Any = typer.main.get_command(app)
    with group.make_context("recarena", [], resilient_parsing=True) as context:
        while hasattr(group, "resolve_command"):
            _, group, words = group.resolve_command(context, words)
        return group.make_context(group.name, list(words), parent=context).params


def test_there_are_commands_to_look_at():
    assert len(COMMANDS) >= 6
    assert {words[0] for words in COMMANDS.values()} == {"serve", "doctor", "token"}


@pytest.mark.parametrize("where", COMMANDS)
def test_the_program_takes_every_command(where: str):
    parsed(COMMANDS[where])


@pytest.mark.parametrize("where", ["ExecStart", "CMD"])
def test_what_others_reach_has_tls_and_tokens(where: str):
    values = parsed(COMMANDS[where])
    assert values["listen"] == "0.0.0.0:7788"
    assert None not in (values["tls_cert"], values["tls_key"], values["tokens"])
    assert values["metrics"].startswith("127.0.0.1:")
    assert not values["insecure"]


def test_the_doctor_looks_at_what_will_be_served():
    assert COMMANDS["ExecStart"][1:] == COMMANDS["ExecStartPre"][1:]


# ------------------------------------------------------------------------------ systemd
def test_the_unit_is_one():
    sections = re.findall(r"^\[(\w+)\]$", UNIT, re.M)
    assert sections == ["Unit", "Service", "Install"]
    rest = [line for line in UNIT.splitlines() if line and line[0] not in "#["]
    assert [line for line in rest if not re.match(r"[A-Z]\w+=", line)] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User", "recarena"), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"),
        ("KillSignal", "SIGINT"), ("Restart", "on-failure"), ("StateDirectory", "recarena"),
        ("CapabilityBoundingSet", ""),
    ],
)  # fmt: skip
def test_the_unit_is_a_narrow_one(name: str, value: str):
    assert settings_of(name) == [value]


def test_the_service_has_time_to_pause_its_runs():
    assert int(settings_of("TimeoutStopSec")[0]) >= 60


def test_every_credential_that_is_used_is_loaded():
    loaded = {value.partition(":")[0] for value in settings_of("LoadCredential")}
    assert set(re.findall(r"%d/([\w.]+)", UNIT)) == loaded == {"server.pem", "server.key"}


ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not here")
@pytest.mark.parametrize("words", [["verify"], ["security", "--offline=true", "--threshold=20"]])
def test_systemd_finds_nothing_wrong(tmp_path: Path, words: list[str]):
    assert ANALYZE
    unit = tmp_path / "recarena.service"
    unit.write_text(UNIT.replace(PROGRAM, str(Path(sys.executable).with_name("recarena"))))
    done = subprocess.run([ANALYZE, *words, str(unit)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recarena.service" not in done.stderr


# ------------------------------------------------------------------------------ the container
def test_the_image_is_built_from_what_is_here():
    copied = [
        source
        for name, value in instructions()
        if name == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    ]
    assert len(copied) >= 6
    assert [source for source in copied if not (ROOT / source).exists()] == []
    members = {path.parent.relative_to(ROOT).parts[0] for path in ROOT.glob("*/**/pyproject.toml")
               if not path.relative_to(ROOT).parts[0].startswith(".")}  # fmt: skip
    assert members <= {*copied, "examples"}


def test_nothing_is_installed_without_its_hash_but_what_was_built():
    runs = " && ".join(value for name, value in instructions() if name == "RUN")
    installs = re.findall(r"pip install[^&]*", runs)
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)


def test_the_image_has_no_root_and_stops_as_ctrl_c_does():
    assert of_the_image("USER") == ["recarena"]
    assert of_the_image("STOPSIGNAL") == ["SIGINT"]
    (volume,) = of_the_image("VOLUME")
    assert parsed(COMMANDS["CMD"])["runs"].is_relative_to(volume)
    assert all(":" in value and "latest" not in value for n, value in instructions() if n == "FROM")


def test_the_secrets_of_the_readme_are_those_of_the_image():
    wanted = set(re.findall(r"/run/secrets/([\w.]+)", CONTAINERFILE))
    assert set(re.findall(r"--secret ([\w.]+),", README)) == wanted
    assert set(re.findall(r"podman secret create ([\w.]+) ", README)) == wanted


# ------------------------------------------------------------------------------ health
async def health(*words: object) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, DEPLOY / "healthcheck.py", *map(str, words),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, said.decode()


async def test_the_health_check_asks_a_server_in_plaintext(tmp_path: Path):
    async with Server(tmp_path / "runs") as server:
        assert await health(server.address) == (0, "")
    code, said = await health(f"127.0.0.1:{free_port()}")
    assert (code, said.startswith("no answer: ")) == (1, True)


async def test_the_health_check_asks_a_server_with_tls(tmp_path: Path):
    ca = Authority(tmp_path)
    own = ca.server()
    tls = Security(Tls(own.certificate, own.key))
    async with Server(tmp_path / "runs", security=tls) as server:
        right = (server.address, "--ca", ca.certificate, "--name", "localhost")
        assert (await health(*right))[0] == 0
        assert (await health(*right[:-1], "arena.example"))[0] == 1
        assert (await health(server.address))[0] == 1


async def test_the_health_check_shows_a_certificate_where_one_is_wanted(tmp_path: Path):
    ca = Authority(tmp_path)
    own, client = ca.server(), ca.client("recarena:observer:health")
    tls = Security(Tls(own.certificate, own.key, ca.certificate))
    async with Server(tmp_path / "runs", security=tls) as server:
        words = (server.address, "--ca", ca.certificate)
        assert (await health(*words))[0] == 1
        shown = ("--cert", client.certificate, "--key", client.key)
        assert await health(*words, *shown) == (0, "")


async def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    code, said = await health("127.0.0.1:1", "--ca", tmp_path / "none.pem")
    assert (code, "none.pem" in said) == (1, True)
