"""A small session of a real server, message by message, as clients/README.md shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from recarena.server.rpc.server import Server
from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from recarena.v1.session_pb2 import CAPABILITY_EXPLAIN, CAPABILITY_RANK, CAPABILITY_SEARCH
from recarena.v1.types_pb2 import Evidence, Explanation
from support.arena import begin, finished, settings
from support.raw_client import RawClient

WORLD = "planted:users=1,items=4,seed=4"
RUN = {
    "rounds": 1, "visits": {"page_size": 2, "step_cap": 2}, "seed": 5,
    "choice": {"active": 100.0, "sociable": -100.0, "search": 1.0, "item": 2.0, "seen": 0.0},
    "session": {"ping_interval_s": 3600.0},
}  # fmt: skip
SENT, CAME = "→", "←"


class Scribe(RawClient):
    """A recommender that writes down what it sends and what comes."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.lines: list[str] = []

    async def send(self, request: ConnectRequest | None = None, **message: Any) -> None:
        whole = request if request is not None else ConnectRequest(**message)
        kind = whole.WhichOneof("message") or ""
        self.note(SENT, kind, getattr(whole, kind))
        await super().send(whole)

    async def receive_any(self) -> ConnectResponse | None:
        message = await super().receive_any()
        if message is not None:
            kind = message.WhichOneof("message") or ""
            self.note(CAME, kind, getattr(message, kind))
        return message

    async def close_half(self) -> None:
        self.lines.append(f"{SENT} (closes its half)")
        await super().close_half()

    async def load_catalog(self) -> None:
        await super().load_catalog()
        version = self.registered.catalog_version
        self.lines.append(f'{SENT} StreamCatalog {{ catalog_version: "{version[:8]}…" }}')
        first = self.items[0]
        self.note(CAME, f"{len(self.items)} items, the first", first)

    def answer(self, kind: str, work: Any) -> ConnectRequest:
        """The usual lists, each with a token, and each item with the reason that is wanted."""
        request = super().answer(kind, work)
        for one in request.rank_result.lists:
            one.attribution_token = f"model-3 {kind}"
            for item in one.items:
                reason = Evidence(kind=Evidence.KIND_POPULARITY, reference="")
                text = Explanation(text="Many watched this.", evidence=[reason], method="demo")
                item.explanation.CopyFrom(text)
        return request

    def note(self, arrow: str, kind: str, message: Message) -> None:
        self.lines.append(f"{arrow} {kind} {shortened(message)}")


def shortened(message: Message) -> str:
    """One line of text format without what differs from run to run."""
    line = text_format.MessageToString(
        message, as_one_line=True, use_short_repeated_primitives=True
    )
    line = re.sub(r'session_id: "[^"]*"', 'session_id: "…"', line)
    line = re.sub(r'(catalog_version: ")([0-9a-z]{8})[^"]*', r"\1\2…", line)
    line = re.sub(r"sim_time \{[^}]*\} ?", "", line)
    return f"{{ {line} }}" if line else "{}"


async def written_down(folder: Path) -> list[str]:
    """The session: registering, the catalogue, history, a round, the end."""
    arm = {"recommender": "raw", "explanations": True}
    async with Server(folder) as server:
        run = await begin(server, settings(arm, **RUN), "run-1", WORLD)
        async with Scribe(server.address) as scribe:
            offered = (CAPABILITY_RANK, CAPABILITY_SEARCH, CAPABILITY_EXPLAIN)
            await scribe.join(capabilities=offered)
            await scribe.serve()
            code, _ = await scribe.status()
            scribe.lines.append(f"{CAME} (ends the stream with {code.name})")
        await finished(run)
    return scribe.lines
