"""`recarena interview`: questions to one user of a run, who remembers nothing of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recarena.server.cli.minding import BaseUrl, MaxCost, mind_values
from recarena.server.cli.output import JSON, console, emit, say
from recarena.server.cli.reading import RunFolderPath, user_number

if TYPE_CHECKING:
    from recarena.server.config import Settings
    from recarena.server.inquiring.moments import Past, Walk
    from recarena.server.inquiring.questions import Answers

FAREWELLS = ("exit", "quit")
WORDLESS = (
    "Name a language model that answers in the user's place: --mind anthropic:MODEL, openai:MODEL, "
    "or openai-compatible:MODEL --base-url URL"
)
LONGEST = 1000
"""Characters of a question."""


def interview(
    folder: RunFolderPath,
    questions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUESTION...",
            help="Questions, one after another in one conversation. None on a terminal: you are "
            "asked for them.",
        ),
    ] = None,
    user: Annotated[str, typer.Option("--user", "-u", help="Id of the user.")] = "",
    before: Annotated[
        int | None,
        typer.Option(
            "--round",
            min=1,
            help="As the user was at the start of this round. "
            "Default: after the last committed one.",
        ),
    ] = None,
    mind: Annotated[
        str,
        typer.Option(
            metavar="PROVIDER:MODEL",
            help="Who answers in the user's place. Default: the run's own language model.",
        ),
    ] = "",
    base_url: BaseUrl = "",
    memory: Annotated[
        bool,
        typer.Option(
            "--memory/--no-memory", help="Whether the user remembers more than exact facts."
        ),
    ] = True,
    max_cost: MaxCost = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the calls in this file, and take them from it."),
    ] = None,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Ask a user of a run in your own words. The user remembers nothing of it, and the run stays
    as it is, byte for byte.

    Example: recarena interview runs/films-1 --user u000007 "What did you like last?"
    """
    from recarena.server.errors import InputError
    from recarena.server.inquiring.moments import Past

    if not user:
        raise InputError(
            "nobody is asked", where="--user",
            remedy=f"Name a user: --user ID; recarena show {folder} names one",
        )  # fmt: skip
    by_hand = not questions and sys.stdin.isatty()
    if not questions and not by_hand:
        raise InputError(
            "nothing is asked", where="QUESTION",
            remedy='Put a question in quotation marks: "What did you like last?"',
        )  # fmt: skip
    for one in questions or ():
        _check(one)
    past = Past(folder)
    try:
        number = user_number(past.folder, past.data.population.number_of, user)
        last = past.folder.last_round
        if before is not None and before > last + 1:
            raise InputError(
                f"the run has rounds 1 to {last}", where="--round",
                remedy=f"Say 1 to {last + 1}: users are as they were before that round",
            )  # fmt: skip
        settings = _settings(past.settings, mind, base_url, max_cost)
        talk = _Conversation(past, settings, number, before or last + 1, memory)
        _talk(talk, questions, record, as_json)
    finally:
        past.close()


def _settings(own: Settings, mind: str, base_url: str, max_cost: float | None) -> Settings:
    """The run's settings with who answers. InputError where nobody does that has words."""
    from recarena.server.config import parse_settings
    from recarena.server.errors import InputError

    values = mind_values(mind, base_url=base_url, max_cost=max_cost)
    tree = own.model_dump(mode="json")
    if mind and "provider" not in values:
        raise InputError("the choice mind has no words", where="--mind", remedy=WORDLESS)
    if not mind:
        if own.llm.provider is None:
            raise InputError(
                "the users of this run have the choice mind, which has no words", where="RUN",
                remedy=WORDLESS,
            )  # fmt: skip
        values = {**tree["llm"], "recording": "", "replay": "reuse", **values}
    return parse_settings({**tree, "llm": values}, "--mind")


class _Conversation:
    """Questions and answers so far, of one user at one moment."""

    def __init__(
        self, past: Past, settings: Settings, user: int, before: int, remembers: bool
    ) -> None:
        self.past, self.settings, self.user, self.before = past, settings, user, before
        self.name = past.data.population.names[user]
        self.user_id = past.data.population.user_ids[user]
        self._remembers = remembers
        self._turns: list[tuple[bool, str]] = []

    async def ask(self, walk: Walk, question: str) -> Answers:
        """The answer to the next question."""
        from recarena.server.inquiring.questions import Inquiry, Talk, Words

        inquiry = Inquiry(
            f"interview {len(self._turns) // 2 + 1}", self.user, self.before,
            Talk(question, tuple(self._turns[-20:])), without_memories=not self._remembers,
        )  # fmt: skip
        seen = await self.past.seen(inquiry, "interview")
        answers = await walk.respondent.answer(await walk.to(self.before), [seen], 0)
        (said,) = answers.said
        if isinstance(said, Words):
            self._turns += [(False, question), (True, said.text)]
        return answers


def _talk(
    talk: _Conversation, questions: list[str] | None, record: Path | None, as_json: bool
) -> None:
    from recarena.server.inquiring.moments import Walk
    from recarena.server.inquiring.thinking import ThinkingRespondent

    data = talk.past.folder.world()
    respondent = ThinkingRespondent.open(talk.settings, data, talk.past.folder, record)
    walk = Walk(talk.past, respondent, data)
    with asyncio.Runner() as runner:
        try:
            if not questions:
                say(
                    f"{talk.name} ({talk.user_id}), before round {talk.before}, played by "
                    f"{respondent.name}. Ctrl-D ends it; nothing of it is remembered."
                )
            for question in questions or _typed():
                _check(question)
                answers = runner.run(talk.ask(walk, question))
                _tell(talk, respondent.name, question, answers, as_json)
        finally:
            runner.run(respondent.close())


def _typed() -> Iterator[str]:
    """What is typed on the terminal, until there is no more."""
    while True:
        try:
            typed = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            say("")
            return
        if typed.lower() in FAREWELLS:
            return
        if typed:
            yield typed


def _check(question: str) -> None:
    from recarena.server.errors import InputError

    if not question.strip() or len(question) > LONGEST:
        raise InputError(
            "a question has words" if not question.strip() else
            f"a question has at most {LONGEST:,} characters", where="QUESTION",
        )  # fmt: skip


def _tell(talk: _Conversation, mind: str, question: str, answers: Answers, as_json: bool) -> None:
    from recarena.server.inquiring.questions import Missing, Words

    (said,) = answers.said
    if as_json:
        told: dict[str, Any] = {
            "event": "interview", "run": talk.past.folder.run_id, "user_id": talk.user_id,
            "name": talk.name, "before_round": talk.before, "mind": mind, "question": question,
        }  # fmt: skip
        if isinstance(said, Words):
            told["answer"] = said.text
        elif isinstance(said, Missing):
            told["missing"] = {"reason": said.reason.name, "detail": said.detail}
        spent = answers.spent
        told["spent"] = {
            "calls": spent.calls, "replayed": spent.replayed, "input_tokens": spent.input_tokens,
            "output_tokens": spent.output_tokens, "cost": spent.cost, "currency": spent.currency,
        }  # fmt: skip
        emit(told)
        return
    out = console()
    if isinstance(said, Words):
        out.print(f"{talk.name}: {said.text}", markup=False, soft_wrap=True)
    elif isinstance(said, Missing):
        why = f" ({said.detail})" if said.detail else ""
        out.print(f"{talk.name} did not answer: {said.reason.name.lower()}{why}", markup=False)
