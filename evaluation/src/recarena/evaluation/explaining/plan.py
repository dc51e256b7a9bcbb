"""What one judge is asked about each triple."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recarena.evaluation.explaining.judges import Judge
from recarena.evaluation.questionnaires.form import Questionnaire
from recarena.evaluation.stimuli.conditions import Condition

PERSUASIVENESS = "persuasiveness"


@dataclass(frozen=True)
class Plan:
    """What is asked, and how often. `Plan.of` has the defaults for a judge."""

    judge: Judge
    seed: int = 1
    """Everything random in questions and answers follows from it."""
    conditions: tuple[Condition, ...] = tuple(Condition)
    """Under which users choose, and say which rating they expect."""
    draws: int = 10
    """Repeats of choosing, expecting and rating."""
    quizzed: tuple[Condition, ...] = (Condition.NONE, Condition.REAL, Condition.PLACEBO)
    questionnaire: Questionnaire | None = None
    """None: no statements."""
    stated: tuple[Condition, ...] = (
        Condition.REAL, Condition.PLACEBO, Condition.SHUFFLED, Condition.HYPE,
        Condition.FALSE_FACT,
    )  # fmt: skip
    """Under which statements are agreed or disagreed with."""
    questionnaire_triples: int = 100
    """Statements are asked about the first so many triples, and comparisons are."""
    repeats: int = 3
    """Of each sheet of statements."""
    compared: tuple[str, ...] = (PERSUASIVENESS,)
    """Constructs by which explanations are compared; none: no comparisons."""
    against: tuple[Condition, ...] = (Condition.PLACEBO, Condition.SHUFFLED, Condition.HYPE)
    """What the real explanation is compared with, beside those of other recommenders."""
    between: bool = True
    """Whether explanations of two recommenders for one user are compared."""
    probes: bool = True
    """Whether statements are asked once more with a claim of authorship, and "are you sure?"."""
    on_bad: tuple[Condition, ...] = (
        Condition.NONE, Condition.REAL, Condition.PLACEBO, Condition.HYPE,
    )  # fmt: skip
    """What is tried on the further items that are known to be bad."""

    @classmethod
    def of(
        cls, judge: Judge, questionnaire: Questionnaire | None = None, seed: int = 1, **given: Any
    ) -> Plan:
        """The defaults for a judge, with what is given over them: language models are asked less,
        since each question costs a call, scripted judges about so many explanations as tell the
        honest one from the others, and judges without language no statements."""
        plan = cls(judge, seed, questionnaire=questionnaire)
        if judge.is_llm:
            plan = replace(plan, draws=3, questionnaire_triples=20)
        if judge.is_scripted:
            compared = (PERSUASIVENESS, "informativeness", "transparency")
            plan = replace(plan, questionnaire_triples=60, compared=compared)
        if not judge.takes_statements:
            plan = replace(plan, questionnaire=None, probes=False)
        return replace(plan, **{name: one for name, one in given.items() if one is not None})

    def as_json(self) -> Mapping[str, Any]:
        """JSON values: what a reader needs to ask the same again."""
        sheet = self.questionnaire
        return {
            "judge": self.judge.name, "seed": self.seed, "conditions": list(self.conditions),
            "draws": self.draws, "quizzed": list(self.quizzed),
            "questionnaire": sheet and {"id": sheet.id, "version": sheet.version,
                                        "hash": sheet.hash},
            "stated": list(self.stated), "questionnaire_triples": self.questionnaire_triples,
            "repeats": self.repeats, "compared": list(self.compared),
            "against": list(self.against), "between": self.between, "probes": self.probes,
            "on_bad": list(self.on_bad),
        }  # fmt: skip
