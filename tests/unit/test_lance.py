"""LanceDB starts without the clients of services that are never called, and lacks nothing."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from recarena.lance import REMOTE, lancedb

assert lancedb.connect
assert f"{REMOTE}.models" in sys.modules
assert f"{REMOTE}.api.table_api" not in sys.modules

import importlib
remote = sys.modules[REMOTE]
assert remote.TableApi is importlib.import_module(f"{REMOTE}.api.table_api").TableApi
assert remote.ApiClient is importlib.import_module(REMOTE).ApiClient
assert not hasattr(remote, "nothing")
"""


def test_what_is_never_called_is_imported_when_it_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
