"""The stub as a process of its own, so that its work is not done on the caller's loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from support.llm_stub.asking import Json

TESTS = Path(__file__).resolve().parents[2]
PATIENCE = 10.0


class StubProcess:
    """Runs `python -m support.llm_stub` for as long as it is entered."""

    url: str
    process: subprocess.Popen[str]

    def __init__(
        self,
        mind: str = "random",
        seed: int = 0,
        *,
        record_bodies: Path | None = None,
        **switches: Any,
    ) -> None:
        self.command = [sys.executable, "-m", "support.llm_stub", f"--mind={mind}"]
        self.command.append(f"--seed={seed}")
        if record_bodies is not None:
            self.command.append(f"--record-bodies={record_bodies}")
        for name, value in switches.items():
            self.command.append(f"--{name.replace('_', '-')}={json.dumps(value)}")

    def __enter__(self) -> Self:
        paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError(f"the stub ended with {self.process.returncode}")
        self.url = json.loads(line)["url"]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def counts(self) -> Json:
        """Totals, and how often each body was answered with 200."""
        return self._ask("/_stub/calls")

    def set(self, **switches: Any) -> Json:
        """Change switches; says what all of them are now."""
        return self._ask("/_stub/switches", json.dumps(switches).encode())

    def _ask(self, path: str, body: bytes | None = None) -> Json:
        try:
            with urllib.request.urlopen(self.url + path, body, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from error
