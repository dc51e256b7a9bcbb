"""Inquiries about what users of a played run were shown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recarena.server.runs import Run
from recarena.server.types import EventKind
from recarena.v1.simulation_inquiry_service_pb2 import (
    AskUsersRequest,
    AskUsersResponse,
    Inquiry,
    InquiryAnswer,
    Judge,
)
from recarena.v1.types_pb2 import Evidence, Explanation
from support.arena import log_of

ONE_STATEMENT = {
    "construct": "trust", "lowest": 1, "highest": 5,
    "statements": [{"statement_id": "s", "text": "I trust it."}],
}  # fmt: skip
ONE_QUESTION = {"questions": [{"question_id": "q", "text": "Which?", "options": ["a", "b"]}]}
TASKS: dict[str, dict[str, Any]] = {
    "choose": {}, "expect": {}, "rate": {}, "questionnaire": ONE_STATEMENT, "quiz": ONE_QUESTION,
    "compare": {"other": {"text": "Rather not."}, "question": "Which is better?"},
    "talk": {"question": "How was it?"},
}  # fmt: skip
CHOICE = Judge(kind="choice")


class Exposures:
    """What a run showed, in the order of its log."""

    def __init__(self, run: Run) -> None:
        log = log_of(run)
        self.run, self.data, self.log = run, run.data, log
        self.rows: list[int] = np.flatnonzero(log.kind == EventKind.SHOWN).tolist()

    def __len__(self) -> int:
        return len(self.rows)

    def item(self, number: int) -> int:
        return int(self.log.item[self.rows[number]])

    def user(self, number: int) -> int:
        return int(self.log.user[self.rows[number]])

    def inquiry(
        self, number: int, task: str = "choose", told: Explanation | None = None, **fields: Any
    ) -> Inquiry:
        """About one of them, as it was shown."""
        row, log = self.rows[number], self.log
        made = Inquiry(
            **{
                "inquiry_id": f"i{number}",
                "user_id": self.data.population.user_ids[int(log.user[row])],
                "before_round": int(log.round[row]),
                "impression": {"step": int(log.step[row]), "position": int(log.position[row])},
                task: TASKS[task],
                **fields,
            }
        )
        if told is not None:
            made.explanation.CopyFrom(told)
        return made

    def claiming(self, number: int, *, true: bool = True) -> Explanation:
        """That the item has a genre, as it has or has not."""
        catalog = self.data.catalog
        has = catalog.genres[self.item(number)]
        genre = catalog.genre_names[int(np.flatnonzero(has == true)[0])]
        return Explanation(
            text=f"It is {genre}.",
            evidence=[Evidence(kind=Evidence.KIND_FEATURE, reference=f"genre={genre}")],
        )


PLACEBO = Explanation(text="Here is something that was picked out for you today.")


async def asked(
    operator: Any, inquiries: Sequence[Inquiry], run_id: str = "run", judge: Judge = CHOICE,
    seed: int = 5,
) -> list[InquiryAnswer]:  # fmt: skip
    """The answers of a judge."""
    return list((await reply(operator, inquiries, run_id, judge, seed)).answers)


async def reply(
    operator: Any, inquiries: Sequence[Inquiry], run_id: str = "run", judge: Judge = CHOICE,
    seed: int = 5,
) -> AskUsersResponse:  # fmt: skip
    """All that comes back."""
    request = AskUsersRequest(run_id=run_id, judge=judge, seed=seed, inquiries=inquiries)
    return await operator.inquiry.AskUsers(request)


def watched(answers: Sequence[InquiryAnswer]) -> list[bool]:
    assert all(one.HasField("chosen") for one in answers)
    return [one.chosen.watched for one in answers]


def bytes_of(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
