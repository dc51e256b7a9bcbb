"""What explanations are judged on: real exposures, each a user, an item and a moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """An explanation: what a user is told about an item."""

    text: str
    evidence: tuple[tuple[str, str], ...] = ()
    """(kind, reference) as the event log has them: ("feature", "genre=Comedy"), ("item", "318")."""
    method: str = ""
    locale: str = ""


@dataclass(frozen=True, slots=True)
class Triple:
    """A user, an item that a recommender showed to it with an explanation, and the moment."""

    id: str
    """Unique in a study, and the same whenever the study is made again: "t0007"."""
    run_id: str
    recommender: str
    """The arm's recommender."""
    user_id: str
    item_id: str
    round: int
    """The round in which it was shown: users are asked as they were at its start."""
    step: int
    """Number of the page in the visit, from 0."""
    position: int
    """On the page, from 0."""
    explanation: Words
    """What the recommender sent, shown or withheld."""
    bad: bool = False
    """Whether the item is known to be bad: nobody should be talked into it."""
    extra: bool = False
    """Whether it is in the sample for being bad only: what is said of the others (how persuasive,
    how informative) is not said of it."""
    world: str = ""
    """What mirrored runs share: users of the same id in the same world are the same people."""

    @property
    def method(self) -> str:
        """The method that made the explanation; the recommender where it names none."""
        return self.explanation.method or self.recommender
