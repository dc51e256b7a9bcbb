"""What findings are made from: triples, replies, the questionnaire and what claims are borne out.

Nothing here knows how the replies came about: a table that another program wrote does as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recarena.evaluation.judging.replies import Reply
from recarena.evaluation.questionnaires.form import Questionnaire
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Claims
from recarena.evaluation.stimuli.triples import Triple


@dataclass(frozen=True, slots=True)
class Material:
    """A study as it came in."""

    triples: Sequence[Triple]
    replies: Sequence[Reply]
    questionnaire: Questionnaire | None = None
    claims: Mapping[tuple[str, str], Claims] = field(default_factory=dict[tuple[str, str], Claims])
    """By (id of the triple, Condition): of what users were told under it."""
    data: str = "unknown data"
    """What the users and items are from, as reports name it."""
    families: Mapping[str, str] = field(default_factory=dict[str, str])
    """The family of a judge's model, where its name does not tell: "openai-compatible:..."."""
    about: Mapping[str, object] = field(default_factory=dict[str, object])
    """JSON values that reports show as they are: versions, seeds, costs."""

    @property
    def judges(self) -> tuple[str, ...]:
        """In the order of their first reply."""
        return tuple(dict.fromkeys(one.judge for one in self.replies))

    @property
    def by_id(self) -> Mapping[str, Triple]:
        """Triples by their ids."""
        return {one.id: one for one in self.triples}

    def has_claims(self, triple: str) -> bool:
        """Whether its real explanation carries a claim that the catalogue supports: one without
        cannot persuade by what it says."""
        claims = self.claims.get((triple, Condition.REAL))
        return claims is not None and claims.by_catalogue > 0

    def claims_less(self, triple: str) -> bool:
        """Whether another user's explanation claims less that the catalogue supports, or nobody
        counted: one that claims as much that holds persuades about as much."""
        real, other = (self.claims.get((triple, one)) for one in (Condition.REAL,
                                                                  Condition.SHUFFLED))  # fmt: skip
        return real is None or other is None or other.by_catalogue < real.by_catalogue

    def family(self, judge: str) -> str:
        """Of a judge's model: what it was told, else the part of its name before the colon."""
        return self.families.get(judge) or judge.partition(":")[0]
