"""Settings as they go over the wire."""

from __future__ import annotations

import tomllib
from datetime import date

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from recarena.evaluation.playing.sendable import sendable


def test_dates_are_written_out_wherever_they_stand_and_all_else_stays_as_it_is():
    settings = tomllib.loads(
        "rounds = 3\n[time]\nstart = 2025-01-01T00:00:00Z\n"
        "[[llm.prices]]\neffective_from = 2026-01-31\ninput = 1.5\n"
    )
    assert settings["llm"]["prices"][0]["effective_from"] == date(2026, 1, 31)
    sent = sendable(settings)
    assert sent["llm"]["prices"] == [{"effective_from": "2026-01-31", "input": 1.5}]
    message = Struct()
    message.update(sent)
    assert MessageToDict(message) == sent
    assert sendable(sent) == sent
