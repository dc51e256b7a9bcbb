"""A stand-in for providers that costs next to nothing: the same answer to every call, after a
while. `python canned.py` says where it listens in one JSON line, and ends with its stdin."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

ANSWER = json.dumps({"watch": [], "then": "LEAVE", "search": "", "note": "", "importance": 1})
ANTHROPIC = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "stub",
    "content": [{"type": "text", "text": ANSWER}], "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1100, "output_tokens": 30, "cache_read_input_tokens": 0,
              "cache_creation_input_tokens": 0},
}  # fmt: skip
OPENAI = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "stub", "status": "completed",
    "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": ANSWER, "annotations": []}]}],
    "parallel_tool_calls": False, "tool_choice": "auto", "tools": [], "error": None,
    "incomplete_details": None,
    "usage": {"input_tokens": 1100, "output_tokens": 30, "total_tokens": 1130,
              "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
              "output_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def response(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


RESPONSES = {b"/v1/messages": response(ANTHROPIC), b"/v1/responses": response(OPENAI)}


class Canned(asyncio.Protocol):
    """One connection."""

    latency_s = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (head := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.buffer, 0, head)
            end = head + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < end:
                return
            path = self.buffer.split(b" ", 2)[1]
            if path.startswith(b"/latency/"):
                Canned.latency_s = float(path[9:])
                self.transport.write(response({}))
            else:
                loop = asyncio.get_running_loop()
                loop.call_later(self.latency_s, self.transport.write, RESPONSES[path])
            self.buffer = self.buffer[end:]


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Canned, "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class CannedProcess:
    """The stand-in as a process of its own."""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        return self

    def set(self, latency_s: float) -> None:
        """How long each answer takes."""
        from urllib.request import urlopen

        urlopen(f"{self.url}/latency/{latency_s}").close()

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
