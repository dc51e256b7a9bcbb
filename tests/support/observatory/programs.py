"""The real observatory and a real server, as processes, for tests that are not async."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROGRAM = Path(sys.executable).with_name("recarena")
RECOMMENDER = Path(sys.executable).with_name("recarena-recommender")
PATIENCE = 60.0


@dataclass(slots=True)
class Program:
    """A program under way whose stdout is JSON lines."""

    process: subprocess.Popen[str]
    lines: queue.Queue[dict[str, Any] | None] = field(default_factory=queue.Queue)

    def line(self, event: str) -> dict[str, Any]:
        """The next line with this event; an error where the program ends before."""
        while (one := self.lines.get(timeout=PATIENCE)) is not None:
            if one.get("event") == event:
                return one
        raise AssertionError(f"it ended ({self.process.wait()}) without saying {event!r}")

    @property
    def cpu_s(self) -> float:
        """Processor time that it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_bytes(self) -> int:
        """Resident now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def program(*words: object, folder: Path | None = None, **environment: str) -> Iterator[Program]:
    """Starts it, and ends it with SIGINT when the block is left. It must end then, without a
    traceback."""
    process = subprocess.Popen(
        [*map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "COLUMNS": "200", **environment},
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    made, said = Program(process), list[str]()

    def read(out: Any) -> None:
        for line in out:
            if line.startswith("{"):
                made.lines.put(json.loads(line))
        made.lines.put(None)

    threads = [
        threading.Thread(target=read, args=(process.stdout,)),
        threading.Thread(target=lambda err: said.extend(err), args=(process.stderr,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            for thread in threads:
                thread.join(PATIENCE)
            process.stdout.close()
            process.stderr.close()
    assert "Traceback" not in "".join(said), "".join(said)


@dataclass(frozen=True, slots=True)
class Site:
    """An observatory under way."""

    address: str
    """With the token."""
    program: Program

    @property
    def origin(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def token(self) -> str:
        return self.address.rpartition("token=")[2]

    def at(self, path: str) -> str:
        """The address of a page, with the token."""
        return f"{self.origin}{path}{'&' if '?' in path else '?'}token={self.token}"


@contextmanager
def observatory(
    server: str, *options: str, command: Sequence[str] = (str(PROGRAM),)
) -> Iterator[Site]:
    """The page of a server."""
    words = *command, "observatory", "--server", server, "--json", *options
    with program(*words) as running:
        yield Site(running.line("serving")["url"], running)


@contextmanager
def server(runs: Path, *options: str) -> Iterator[tuple[str, Program]]:
    """A real server and its address."""
    words = PROGRAM, "serve", "--listen", "127.0.0.1:0", "--runs", runs, "--json", *options
    with program(*words) as running:
        yield running.line("serving")["address"], running
