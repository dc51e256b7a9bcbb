"""Gates and how a judge stands before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from recarena.evaluation.judging.estimates import number


class Outcome(StrEnum):
    """Of a gate."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASSESSED = "not assessed"


class Family(StrEnum):
    """Of gates."""

    BEHAVIOUR = "behaviour"
    QUESTIONNAIRE = "questionnaire"


class Standing(StrEnum):
    """Of a judge in a family."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ASKED = "not asked"
    """The judge answers no statements."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition on a judge."""

    id: str
    family: Family
    meaning: str
    threshold: str
    """In words, with its number."""
    limit: float
    value: float
    """NaN: not assessed."""
    low: float
    """NaN: no interval."""
    high: float
    outcome: Outcome
    said: str
    """What was found; of one that is not assessed, what would make it so."""
    parts: Mapping[str, float]
    """The values that it is the worst of, by construct; or none."""

    @property
    def passed(self) -> bool:
        """Whether it holds; what is not assessed does not."""
        return self.outcome is Outcome.PASSED

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "id": self.id, "family": self.family.value, "outcome": self.outcome.value,
            "meaning": self.meaning, "threshold": self.threshold, "limit": self.limit,
            "value": number(self.value), "low": number(self.low), "high": number(self.high),
            "said": self.said, "parts": {name: number(one) for name, one in self.parts.items()},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gates:
    """All gates of one judge."""

    judge: str
    gates: tuple[Gate, ...]
    asked: bool
    """Whether it answers statements: else the gates of the questionnaire are not asked."""

    def of(self, family: Family) -> tuple[Gate, ...]:
        """In their order."""
        return tuple(one for one in self.gates if one.family is family)

    def standing(self, family: Family) -> Standing:
        """Passed where every gate of the family is."""
        if family is Family.QUESTIONNAIRE and not self.asked:
            return Standing.NOT_ASKED
        passed = all(one.passed for one in self.of(family))
        return Standing.PASSED if passed else Standing.FAILED

    @property
    def publishes_behaviour(self) -> bool:
        """Whether recommenders are ranked by what this judge does."""
        return self.standing(Family.BEHAVIOUR) is Standing.PASSED

    @property
    def publishes_scales(self) -> bool:
        """Whether recommenders are ranked by what this judge says."""
        return (self.publishes_behaviour
                and self.standing(Family.QUESTIONNAIRE) is Standing.PASSED)  # fmt: skip

    @property
    def passed(self) -> bool:
        """Whether nothing that was asked of it is withheld."""
        return self.publishes_behaviour and self.standing(Family.QUESTIONNAIRE) is not (
            Standing.FAILED
        )

    def not_passed(self, *families: Family) -> tuple[str, ...]:
        """Ids of gates that are failed or not assessed."""
        return tuple(one.id for one in self.gates if one.family in families and not one.passed)

    def as_json(self) -> dict[str, object]:
        """JSON values."""
        return {
            "judge": self.judge, "passed": self.passed,
            "behaviour": self.standing(Family.BEHAVIOUR).value,
            "questionnaire": self.standing(Family.QUESTIONNAIRE).value,
            "gates": [one.as_json() for one in self.gates],
        }  # fmt: skip
