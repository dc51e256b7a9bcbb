"""What findings say in words: whether the gates passed, and what to know of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recarena.evaluation.judging.material import Material
from recarena.evaluation.judging.standing import Family, Gates, Standing
from recarena.evaluation.report.tables import listed

FAMILIES = 2
UNIT = (
    "Intervals are over users: repeats are averaged inside a triple, triples inside a user. Users "
    "of one world influence one another, so that other worlds may differ by more than the "
    "intervals show."
)


def verdict(found: Sequence[Gates]) -> dict[str, Any]:
    """Whether gates passed, in all and judge by judge."""
    lines = [_line(one) for one in found]
    passed = [one.judge for one in found if one.passed]
    if not found:
        sentence = "Nobody was asked: there is no reply."
    elif len(passed) == len(found):
        sentence = f"All gates passed by {listed(passed)}."
    elif passed:
        failed = [one.judge for one in found if not one.passed]
        sentence = f"Gates passed by {listed(passed)}, NOT passed by {listed(failed)}."
    else:
        sentence = f"Gates NOT passed by {listed([one.judge for one in found])}."
    return {
        "passed": bool(found) and len(passed) == len(found),
        "sentence": sentence,
        "judges": [
            {"judge": one.judge, "passed": one.passed, "sentence": line}
            for one, line in zip(found, lines, strict=True)
        ],
    }


def _line(one: Gates) -> str:
    if one.passed:
        counts = [f"{family.value} {len(one.of(family))} of {len(one.of(family))}"
                  if one.standing(family) is Standing.PASSED
                  else f"{family.value} {one.standing(family).value}"
                  for family in Family]  # fmt: skip
        return f"{one.judge}: every gate passed ({', '.join(counts)})."
    parts: list[str] = []
    for family in Family:
        failed = one.not_passed(family)
        if failed:
            total = len(one.of(family))
            parts.append(f"{family.value} {total - len(failed)} of {total}, not {listed(failed)}")
        else:
            parts.append(f"{family.value} {one.standing(family).value}")
    return f"{one.judge}: gates NOT passed ({'; '.join(parts)})."


def notes(material: Material) -> list[str]:
    """What a reader should know of any number."""
    found = [UNIT]
    families = {material.family(one) for one in material.judges}
    if len(families) < FAMILIES:
        found.append(
            "At least two families of judges are recommended: what one family of models likes may "
            "be its own. Here there is one."
        )
    if not any(one.bad for one in material.triples):
        found.append("No item is known to be bad, so that overselling of bad items is not known.")
    without = sum(not material.has_claims(one.id) for one in material.triples if not one.extra)
    if without:
        found.append(
            f"{without} of the explanations carry no claim that the catalogue supports: gates on "
            "the order of conditions leave them out, contrasts count them."
        )
    return found
