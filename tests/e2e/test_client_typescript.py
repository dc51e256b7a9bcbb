"""What only the TypeScript client has: a thread that code can block, a lock file, messages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from conformance.programs import CLIENTS, unbuilt
from recarena.v1.session_pb2 import Ping, RoundStarted
from support.arena import PATIENCE, talking
from support.scripted_server import ScriptedServer, rank_work

REASON = unbuilt("typescript")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = CLIENTS / "typescript"
NODE = shutil.which("node") or "node"
BUSY = """
import { readSync } from "node:fs";
import { serve } from "@recarena/client";

const line = () => readSync(0, Buffer.alloc(1));
class Busy {
  ready() { line(); }
  rank(queries) {
    if (queries.length === 3) line();
    return queries.map(() => ["item-1"]);
  }
}
await serve(() => new Busy(), "busy", { server: process.argv[1] });
"""
"""A recommender that blocks its thread until it is given a byte, in `ready` and for three users."""


async def test_code_that_blocks_its_thread_holds_up_no_heartbeat_and_sends_no_withdrawn_answer():
    words = (NODE, "--input-type=module", "--eval", BUSY)
    async with ScriptedServer() as server, talking(*words, server.address, cwd=HERE) as process:
        assert process.stdin

        async def heard(nonce: int) -> None:
            await stream.send(ping=Ping(nonce=nonce))
            assert (await stream.receive("pong")).nonce == nonce

        stream = await (await server.accept()).begin()
        await stream.send(round_started=RoundStarted(round=1))
        await heard(1)  # while it waits for a byte in `ready`, for which nothing is sent yet
        process.stdin.write(b".")
        await stream.receive("round_ready")
        await stream.send(rank_work=rank_work("slow", users=3))
        await heard(2)
        await stream.send(rank_work=rank_work("next", users=3))
        await stream.send(rank_work=rank_work("last", users=1))
        for work_id in ("slow", "next"):
            await stream.cancel_work(work_id)
        await heard(3)
        process.stdin.write(b".")
        assert (await stream.receive("rank_result")).work_id == "last"
        await heard(4)


def test_the_lock_file_has_hashes_and_names_no_registry():
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))
    packages = {name: one for name, one in lock["packages"].items() if name}
    assert packages
    assert [name for name, one in packages.items() if "integrity" not in one] == []
    assert [name for name, one in packages.items() if "resolved" in one] == []


def test_the_generated_messages_are_those_of_the_protos():
    script = CLIENTS.parent / "protos" / "generate_typescript.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout
