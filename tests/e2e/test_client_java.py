"""What only the Java client has: what a second signal does, and the artifacts it is built of."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from conformance.programs import CLIENTS, PROGRAMS, unbuilt
from recarena.v1.session_pb2 import RoundStarted
from support.arena import PATIENCE, talking
from support.scripted_server import ScriptedServer

REASON = unbuilt("java")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = CLIENTS / "java"
JAVA = (shutil.which("java") or "java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


async def test_a_second_signal_ends_it_at_once_though_it_is_busy():
    words = (*PROGRAMS["java"], "--server")
    async with ScriptedServer() as server, talking(*words, server.address) as process:
        stream = await (await server.accept()).begin()
        await stream.send(round_started=RoundStarted(round=100))  # trains until it has a line
        process.send_signal(signal.SIGINT)
        await stream.receive("drain")
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGINT


def test_an_artifact_with_other_bytes_than_were_committed_is_found_out(tmp_path: Path):
    repository, lib = tmp_path / "repository", tmp_path / "lib"
    for folder in (repository, lib):
        folder.mkdir()
        (folder / "one.jar").write_bytes(b"as it was")
    listed = tmp_path / "checksums.sha256"
    listed.write_text(f"{hashlib.sha256(b'as it was').hexdigest()}  one.jar\n")

    def checked() -> tuple[int, str]:
        words = (str(HERE / "Checksums.java"), "check", str(listed), str(repository), str(lib))
        done = subprocess.run([*JAVA, *words], capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stderr

    assert checked() == (0, "")
    (repository / "one.jar").write_bytes(b"as it is now")
    (lib / "two.jar").write_bytes(b"unknown")
    code, said = checked()
    assert code == 1
    assert "one.jar is not what checksums.sha256 says" in said
    assert "two.jar is not in checksums.sha256" in said


def test_the_checksums_name_artifacts_and_no_registry():
    lines = (HERE / "checksums.sha256").read_text("utf-8").splitlines()
    assert len(lines) > 100
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w./-]+\.(jar|exe)", line) for line in lines)
