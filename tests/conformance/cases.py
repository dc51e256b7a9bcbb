"""The script: every case by its name. A case talks to the program that it is given."""

from __future__ import annotations

from conformance import endings, feedback, handshake, tolerance, works
from conformance.script import Case

CASES: dict[str, Case] = {
    name: case
    for part in (handshake, tolerance, feedback, works, endings)
    for name, case in part.SCRIPT.cases.items()
}
