"""What only the Go client has: formatting, pinned modules, generated messages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from conformance.programs import CLIENTS, unbuilt
from support.arena import PATIENCE

REASON = unbuilt("go")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON)]
HERE = CLIENTS / "go"


def test_the_sources_are_formatted():
    gofmt = shutil.which("gofmt")
    if gofmt is None:
        pytest.skip("there is no gofmt here: install Go 1.24 or newer")
    done = subprocess.run([gofmt, "-l", "."], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_every_module_is_pinned_by_a_hash_and_none_is_replaced():
    pinned = (HERE / "go.sum").read_text().splitlines()
    assert pinned
    assert all(re.fullmatch(r"\S+ v\S+ h1:[A-Za-z0-9+/]{43}=", line) for line in pinned)
    assert "replace" not in (HERE / "go.mod").read_text()


def test_the_generated_messages_are_those_of_the_protos():
    if shutil.which("go") is None:
        pytest.skip("there is no Go here: install Go 1.24 or newer")
    script = CLIENTS.parent / "protos" / "generate_go.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout
