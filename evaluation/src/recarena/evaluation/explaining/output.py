"""How a study speaks while it is made: to people, or one JSON object a line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from recarena.evaluation.explaining.asking import Spent
    from recarena.evaluation.stimuli.sampling import Sample

EVERY_S = 1.0
"""Between two lines of progress."""
TOKENS_OF_CALL = 1000
"""That a question takes with what the user remembers; measured, and within about a third."""
KINDS = {
    "choose": "choices", "expect": "expectations", "rate": "ratings", "quiz": "quizzes",
    "questionnaire": "pages of statements", "compare": "comparisons", "text": "texts",
}  # fmt: skip
Advance = Callable[[int], None]


class Output(Protocol):
    """Told of what goes on."""

    def starting(self) -> AbstractContextManager[None]:
        """While the programs start."""
        ...

    def waiting(self, address: str, names: Sequence[str]) -> None:
        """The server is there; these recommenders are to dial in to it."""
        ...

    def playing(self, rounds: int) -> AbstractContextManager[Advance]:
        """While runs are played; what is entered is told of rounds."""
        ...

    def prepared(self, sample: Sample) -> None:
        """The triples are drawn."""
        ...

    def estimate(self, who: str, inquiries: int, calls: int, kinds: Mapping[str, int]) -> None:
        """So much would be asked; `calls` of a language model, where every first answer can be
        read; `kinds`: inquiries by their task."""
        ...

    def asking(self, who: str, inquiries: int) -> AbstractContextManager[Advance]:
        """While somebody is asked; what is entered is told of answers."""
        ...

    def spent(self, costs: Mapping[str, Spent]) -> None:
        """What language models took, by who they are in the study."""
        ...

    def note(self, text: str) -> None:
        """Something that somebody should look at while it goes on."""
        ...

    def error(self, text: str) -> None:
        """Something went wrong, or was stopped."""
        ...


class Terminal:
    """For people, on stderr; bars on a terminal alone."""

    def __init__(self) -> None:
        from rich.console import Console

        self._err = Console(stderr=True, highlight=False, emoji=False)

    @contextmanager
    def starting(self) -> Generator[None]:
        """A spinner."""
        with self._err.status("Starting a server, and a process for each recommender"):
            yield

    def waiting(self, address: str, names: Sequence[str]) -> None:
        """A line for each."""
        for name in names:
            self.note(
                f"Waiting for {name} to dial in at {address}, for example: "
                f"recarena-recommender content --id {name} --server {address}"
            )

    def playing(self, rounds: int) -> AbstractContextManager[Advance]:
        """One bar over all rounds."""
        return self._bar("playing", rounds, "rounds")

    def prepared(self, sample: Sample) -> None:
        """A line, and one for each recommender with less than was wanted."""
        extra = sum(one.extra for one in sample.triples)
        whole = len(sample.triples) - extra
        more = f", and {extra} more with bad items" if extra else ""
        self.note(f"{whole} triples of a user, an item and a moment{more}")
        for name, missing in sample.short.items():
            self.note(f"{name}: {missing} triples fewer than wanted; it explained no more")

    def estimate(self, who: str, inquiries: int, calls: int, kinds: Mapping[str, int]) -> None:
        """What it comes to, and of what kinds."""
        kind = ", ".join(f"{KINDS.get(name, name)} {count:,}" for name, count in kinds.items())
        self.note(f"{who}: {inquiries:,} inquiries ({kind})")
        if calls:
            tokens = calls * TOKENS_OF_CALL / 1e6
            self.note(
                f"  {calls:,} calls where every first answer can be read; with about "
                f"{TOKENS_OF_CALL:,} tokens in each, {tokens:.1f} million"
            )

    def asking(self, who: str, inquiries: int) -> AbstractContextManager[Advance]:
        """One bar over all answers."""
        return self._bar(f"asking {who}", inquiries, "answers")

    def spent(self, costs: Mapping[str, Spent]) -> None:
        """A line for each."""
        for who, one in costs.items():
            self.note(f"{who}: {_taken(one)}")

    def error(self, text: str) -> None:
        """In red."""
        from rich.text import Text

        self._err.print(Text(text, "red"), soft_wrap=True)

    def note(self, text: str) -> None:
        """A line."""
        self._err.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def _bar(self, what: str, total: int, unit: str) -> Generator[Advance]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        # The spinner moves while a language model takes its time over a hundred questions.
        columns = (
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20),
            MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn(),
        )  # fmt: skip
        shown = self._err.is_terminal
        with Progress(*columns, console=self._err, disable=not shown, transient=True) as bars:
            task = bars.add_task(what, total=total)
            yield lambda count: bars.advance(task, count)


class Lines:
    """For machines: one JSON object a line on stdout."""

    def say(self, event: str, **values: object) -> None:
        """A line."""
        sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    @contextmanager
    def starting(self) -> Generator[None]:
        """Nothing is said."""
        yield

    def waiting(self, address: str, names: Sequence[str]) -> None:
        """A line `waiting` for each."""
        for name in names:
            self.say("waiting", recommender=name, address=address)

    def playing(self, rounds: int) -> AbstractContextManager[Advance]:
        """Lines `playing`."""
        return self._progress("playing", rounds)

    def prepared(self, sample: Sample) -> None:
        """A line `prepared`."""
        extra = sum(one.extra for one in sample.triples)
        self.say(
            "prepared", triples=len(sample.triples) - extra, extra=extra, short=dict(sample.short)
        )

    def estimate(self, who: str, inquiries: int, calls: int, kinds: Mapping[str, int]) -> None:
        """A line `estimate`."""
        self.say("estimate", who=who, inquiries=inquiries, calls=calls, kinds=dict(kinds))

    def asking(self, who: str, inquiries: int) -> AbstractContextManager[Advance]:
        """Lines `asking`."""
        return self._progress("asking", inquiries, who=who)

    def spent(self, costs: Mapping[str, Spent]) -> None:
        """A line `spent` for each."""
        for who, one in costs.items():
            self.say("spent", who=who, **one.as_json())

    def note(self, text: str) -> None:
        """A line `note`."""
        self.say("note", message=text)

    def error(self, text: str) -> None:
        """A line `error`."""
        self.say("error", message=text)

    @contextmanager
    def _progress(self, event: str, total: int, **values: object) -> Generator[Advance]:
        done, said = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal done, said
            done += count
            if done >= total or time.monotonic() - said >= EVERY_S:
                said = time.monotonic()
                self.say(event, done=done, of=total, **values)

        yield advance


def _taken(one: Spent) -> str:
    """`120 calls (30 more were recorded), 61,000 tokens in, 900 out, 0.07 USD`."""
    recorded = f" ({one.replayed:,} more were recorded)" if one.replayed else ""
    tokens = (
        "tokens not known"
        if one.input_tokens is None or one.output_tokens is None
        else f"{one.input_tokens:,} tokens in, {one.output_tokens:,} out"
    )
    cost = "cost not known" if one.cost is None else f"{one.cost:.2f} {one.currency}".strip()
    return f"{one.calls:,} calls{recorded}, {tokens}, {cost}"
