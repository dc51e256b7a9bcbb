"""An answer of the contract as rows of the table of replies. A missing answer stays missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recarena.evaluation.judging.replies import Asked, Probe, Reply
from recarena.evaluation.stimuli.quiz import Question
from recarena.v1.simulation_inquiry_service_pb2 import InquiryAnswer, Missing, Preference

UNREADABLE = "UNREADABLE"
UNKNOWN = "unknown"
"""What is said for "I don't know"."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the answer to an inquiry is read."""

    blank: Reply
    """The row, without an answer."""
    items: tuple[str, ...] = ()
    """STATEMENT: ids, in the order shown."""
    questions: tuple[Question, ...] = ()
    """QUIZ."""
    challenged: bool = False
    """STATEMENT: whether it was asked once more."""

    def replies(self, answer: InquiryAnswer) -> list[Reply]:
        """Rows of the answer, as many for a missing one as for any other. An answer to something
        else than was asked cannot be read."""
        if answer.WhichOneof("answer") == "missing":
            return self.missing(_reason(answer.missing))
        match self.blank.asked:
            case Asked.STATEMENT if answer.HasField("scores"):
                return list(self._statements(answer))
            case Asked.QUIZ if answer.HasField("quiz"):
                return list(self._quiz(answer))
            case Asked.CHOOSE if answer.HasField("chosen"):
                return [self.blank._replace(value=float(answer.chosen.watched))]
            case Asked.EXPECT | Asked.RATE if answer.HasField("rating"):
                return [self.blank._replace(value=answer.rating.value)]
            case Asked.COMPARE if answer.HasField("preference"):
                return [self._comparison(answer.preference.choice)]
            case _:
                return self.missing(UNREADABLE)

    def missing(self, reason: str) -> list[Reply]:
        """Rows where there is no answer at all."""
        ids = self.items or tuple(one.id for one in self.questions) or ("",)
        found = [self.blank._replace(item=one, missing=reason) for one in ids]
        if self.challenged:
            found += [one._replace(probe=Probe.CHALLENGE) for one in found]
        return found

    def _statements(self, answer: InquiryAnswer) -> Iterator[Reply]:
        scores = {one.statement_id: one for one in answer.scores.scores}
        for item in self.items:
            row, score = self.blank._replace(item=item), scores.get(item)
            said = score.WhichOneof("answer") if score else None
            if score is None or said is None:
                first = row._replace(missing=UNREADABLE)
            elif said == "missing":
                first = row._replace(missing=_reason(score.missing))
            else:
                first = row._replace(value=float(score.value))
            yield first
            if not self.challenged:
                continue
            again = first._replace(probe=Probe.CHALLENGE)
            if first.value is None:
                yield again
            elif score is not None and score.HasField("second_value"):
                yield again._replace(value=float(score.second_value))
            else:
                yield again._replace(value=None, missing=UNREADABLE)

    def _quiz(self, answer: InquiryAnswer) -> Iterator[Reply]:
        answers = {one.question_id: one for one in answer.quiz.answers}
        for question in self.questions:
            row, one = self.blank._replace(item=question.id), answers.get(question.id)
            said = one.WhichOneof("answer") if one else None
            if one is not None and said == "option" and one.option < len(question.options):
                right = float(one.option == question.right)
                yield row._replace(value=right, said=question.options[one.option])
            elif one is not None and said == "unknown":
                yield row._replace(value=0.0, said=UNKNOWN)
            elif one is not None and said == "missing":
                yield row._replace(missing=_reason(one.missing))
            else:
                yield row._replace(missing=UNREADABLE)

    def _comparison(self, choice: int) -> Reply:
        values: dict[int, float] = {
            Preference.CHOICE_FIRST: 1.0,
            Preference.CHOICE_SECOND: -1.0,
            Preference.CHOICE_NEITHER: 0.0,
        }
        if choice not in values:
            return self.blank._replace(missing=UNREADABLE)
        # Turned back: the value is of the left one, whichever was shown first.
        return self.blank._replace(value=values[choice] * (-1.0 if self.blank.order else 1.0))


def _reason(missing: Missing) -> str:
    if missing.reason not in Missing.Reason.values() or not missing.reason:
        return UNREADABLE
    return Missing.Reason.Name(missing.reason).removeprefix("REASON_")
