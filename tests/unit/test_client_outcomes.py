"""What the SDK logs of answers that were not simply accepted."""

from __future__ import annotations

import logging

import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status

from recarena.client.session import tell_outcome
from recarena.v1.session_pb2 import WorkOutcome


def outcome(*details: Any) -> WorkOutcome:
    return WorkOutcome(
        work_id="w1", disposition=WorkOutcome.DISPOSITION_ACCEPTED_WITH_VIOLATIONS,
        status=Status(code=3, message="2 violations", details=details),
    )  # fmt: skip


def packed(message: BadRequest) -> Any:
    detail = Any()
    detail.Pack(message)
    return detail


def test_the_first_field_that_was_wrong_is_named(caplog: pytest.LogCaptureFixture):
    wrong = BadRequest(field_violations=[
        BadRequest.FieldViolation(field="lists[0].items[1]", description="not in the\ncatalogue"),
        BadRequest.FieldViolation(field="lists[0].items[2]", description="repeated"),
    ])  # fmt: skip
    with caplog.at_level(logging.INFO, "recarena.client"):
        tell_outcome(outcome(Any(type_url="x/unknown.Kind"), packed(wrong)))
        tell_outcome(outcome())
    assert [one.getMessage() for one in caplog.records] == [
        "work w1: ACCEPTED_WITH_VIOLATIONS 2 violations; lists[0].items[1]: not in the catalogue",
        "work w1: ACCEPTED_WITH_VIOLATIONS 2 violations",
    ]
