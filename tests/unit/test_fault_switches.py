"""The switches of the misbehaving recommender, its guide, and how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import PATIENCE, free_port

KIT = Path(__file__).parents[1] / "faults" / "misbehaving.py"
GUIDE = KIT.with_name("README.md").read_text("utf-8")


def said(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(KIT), *words], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


def test_the_guide_has_every_switch_and_no_other():
    listed = re.findall(r"^  (--[a-z-]+)", said("--list").stdout, re.M)
    shown = re.findall(r"^\| `(--[a-z-]+)[^|`]*` \|", GUIDE, re.M)
    assert shown == listed
    options = set(re.findall(r"--[a-z-]+", said("--help").stdout))
    assert set(re.findall(r"`(--[a-z-]+)", GUIDE)) <= options


def test_the_guide_has_every_line_that_the_program_says():
    code = "".join(path.read_text("utf-8") for path in KIT.parent.glob("*.py"))
    events = set(re.findall(r"event=\"(\w+)\"", code))
    assert {"event", *events} == set(re.findall(r"`(\w+)`", "".join(re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", GUIDE, re.M
    ))))  # fmt: skip


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--late", "soon"), "invalid float value"),
        (("--probability", "2"), "between 0 and 1"),
        (("--nan", "--columnar"), "--nan does not go with --columnar"),
        (("--tls-ca", "away.pem"), "--tls-ca away.pem: there is no such file"),
        (("--tls-ca", __file__), "it holds no certificate in PEM form"),
    ],
)
def test_a_wrong_command_line_is_explained(words: tuple[str, ...], why: str):
    assert why in said(*words, code=2).stderr


def test_who_has_read_enough_is_no_reason_to_complain():
    line = [sys.executable, str(KIT), "--server", f"127.0.0.1:{free_port()}", "--seconds", "30"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert b"UNAVAILABLE" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_told_to_stop_it_stops_without_a_word_of_complaint(how: signal.Signals):
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(KIT), "--server", f"127.0.0.1:{free_port()}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert b"UNAVAILABLE" in await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    process.send_signal(how)
    _, complaint = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (process.returncode, complaint) == (0, b"")
