"""The script of the probe suite: every case by its name."""

from __future__ import annotations

from recarena.conformance.case import Case
from recarena.conformance.probe import endings, feedback, handshake, tolerance, works

CASES: dict[str, Case] = {
    case.name: case
    for part in (handshake, tolerance, feedback, works, endings)
    for case in part.SCRIPT.cases
}
