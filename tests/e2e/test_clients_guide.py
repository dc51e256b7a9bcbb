"""The guide for clients of any language shows a session as it goes."""

from __future__ import annotations

import re
from pathlib import Path

from recarena.v1.recommender_service_pb2 import ConnectRequest, ConnectResponse
from support.transcript import written_down

GUIDE = Path(__file__).resolve().parents[2] / "clients" / "README.md"
TEXT = GUIDE.read_text("utf-8")


def as_shown() -> list[str]:
    """The messages of the guide, each on one line, without its notes."""
    (block,) = [one for one in re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL) if "# " in one]
    lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
    return [" ".join(one.split()) for one in re.split(r"\n(?=[→←])", "\n".join(lines))]


async def test_the_transcript_is_what_went_over_the_wire(tmp_path: Path):
    assert as_shown() == [" ".join(line.split()) for line in await written_down(tmp_path / "runs")]


def test_every_message_of_the_contract_is_spoken_of():
    kinds = {
        field.message_type.name
        for message in (ConnectRequest, ConnectResponse)
        for field in message.DESCRIPTOR.oneofs_by_name["message"].fields
    }
    assert {kind for kind in kinds if f"`{kind}" not in TEXT} == set()


def test_every_folder_of_clients_is_listed():
    folders = {path.parent.name for path in GUIDE.parent.glob("*/README.md")}
    assert {name for name in folders if f"({name}/README.md)" not in TEXT} == set()
