"""The cases of the wire suite, by name, in the order in which they are shown."""

from __future__ import annotations

from recarena.conformance.case import Case
from recarena.conformance.wire import catalogue, comebacks, handshake, lists, rounds, talking, works

CASES: dict[str, Case] = {
    case.name: case
    for script in (
        handshake.SCRIPT, handshake.TOLERANCE, catalogue.SCRIPT, rounds.ROUNDS, rounds.FEEDBACK,
        lists.LISTS, lists.SEARCH, works.SCRIPT, lists.LIMITS, talking.EXPLANATIONS,
        talking.CONVERSATION, comebacks.RESUMING, comebacks.ENDINGS, comebacks.LEAVING,
    )
    for case in script.cases
}  # fmt: skip
