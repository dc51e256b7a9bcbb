"""What a model knows of a data set by ids alone: a probe for contamination.

Whoever can say that 318 is "Schindler's List (1993)" has read the data set and may know its
ratings, too: how such a model's users choose says little about how well it plays people. After Di
Palma et al., "Do LLMs memorize recommendation datasets?" (2025), who ask for the titles of ids.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError
from recarena.server.llm.calls import Asker, Prompt, Turn
from recarena.server.llm.forms import JsonForm
from recarena.server.llm.thinker import Thinker

DATA_SETS = {
    "ml-100k": "MovieLens 100k",
    "ml-1m": "MovieLens 1M",
    "ml-latest-small": "MovieLens latest-small",
    "ml-25m": "MovieLens 25M",
}
"""Layout of an imported world -> what its data set is called."""
RULES = (
    "You are asked about a public data set from memory. Answer with one JSON object; `title` is "
    "the title as it stands in the data set. Where you do not know, give your best guess."
)
PROMPT = "recall@1"
ARTICLES = ("the", "a", "an")
Z = 1.959964
"""Of the standard normal distribution, 97.5 %."""


class Recalled(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str = Field(max_length=200)


@dataclass(frozen=True, slots=True)
class Recall:
    """What was found; shares of all items asked about, an answer that failed among the wrong."""

    data_set: str
    asked: int
    failed: int
    """Answers that could not be read, twice."""
    exact: int
    """Letter by letter, year included."""
    matched: int
    """The same words, whatever capitals, punctuation, year, and place of the article."""
    in_catalogue: int
    """The title of some item of the data set."""
    chance: float
    """Share that would match if the same answers had been given to the ids in another order: what
    comes of naming the same famous titles again and again."""
    cost: float | None
    calls: int
    wrong: tuple[tuple[str, str, str], ...]
    """A few (id, title, answer)."""

    @property
    def share(self) -> float:
        """Of the items whose title was given."""
        return self.matched / self.asked

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of `share` (Wilson, 1927), over items."""
        return wilson(self.matched, self.asked)

    @property
    def knows(self) -> bool:
        """Whether it recalls more than chance: the interval lies above it."""
        return self.interval[0] > self.chance

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        low, high = self.interval
        return {
            "data_set": self.data_set, "asked": self.asked, "failed": self.failed,
            "exact": self.exact / self.asked, "matched": self.share, "low": low, "high": high,
            "in_catalogue": self.in_catalogue / self.asked, "chance": self.chance,
            "knows": self.knows, "calls": self.calls, "cost": self.cost,
            "wrong": [dict(zip(("id", "title", "answer"), one, strict=True)) for one in self.wrong],
        }  # fmt: skip


def data_set_of(world: WorldData, named: str) -> str:
    """What the data set is called in questions. InputError where ids mean nothing to anybody."""
    if world.origin.get("source") == "disguised" and world.origin.get("ids") != "keep":
        raise InputError(
            "the ids of this world are opaque, so that nobody can know them", where="world",
            remedy="Ask about the world that was not disguised, or one with --ids keep",
        )  # fmt: skip
    layout = str(world.origin.get("layout", ""))
    if name := named or DATA_SETS.get(layout, ""):
        return name
    raise InputError(
        "it is not known what its data set is called", where="world",
        remedy="Say it: --data-set 'MovieLens 100k'",
    )  # fmt: skip


async def recall(
    thinker: Thinker, world: WorldData, data_set: str, items: int, seed: int,
    asked: Callable[[], None] = lambda: None,
) -> Recall:  # fmt: skip
    """Asks which title has which id, for so many items drawn by the seed, each by itself. `asked`
    is called after each answer. RunPaused where the provider fails for good or a cap is reached."""
    catalog = world.catalog
    die = np.random.default_rng([seed, len(catalog)])
    chosen = np.sort(die.permutation(len(catalog))[:items]).tolist()
    form = JsonForm("recall", Recalled)

    async def one(item: int) -> tuple[str | None, float | None, int]:
        question = {
            "task": "recall",
            "question": f"Which title has the item with this id in the data set {data_set}?",
            "id": catalog.item_ids[item],
        }
        prompt = Prompt(
            PROMPT, RULES, (Turn("user", json.dumps(question, ensure_ascii=False)),),
            thinker.settings.answer_tokens, form.name, form.schema,
        )  # fmt: skip
        outcome = await thinker.decide(prompt, form, Asker(0, item, "recall"))
        asked()
        return outcome.value.title if outcome.value else None, outcome.cost, outcome.calls

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in chosen]
    answers = [task.result() for task in tasks]
    costs = [cost for _, cost, _ in answers]
    told = [text for text, _, _ in answers]
    titles = [catalog.titles[item] for item in chosen]
    known = {bare(title) for title in catalog.titles}
    wrong = [
        (catalog.item_ids[item], title, text or "")
        for item, title, text in zip(chosen, titles, told, strict=True)
        if text is None or bare(text) != bare(title)
    ]
    return Recall(
        data_set=data_set,
        asked=len(chosen),
        failed=sum(text is None for text in told),
        exact=sum(text == title for text, title in zip(told, titles, strict=True)),
        matched=len(chosen) - len(wrong),
        in_catalogue=sum(text is not None and bare(text) in known for text in told),
        chance=chance_of(told, titles),
        cost=None if None in costs else sum(cost for cost in costs if cost is not None),
        calls=sum(calls for _, _, calls in answers),
        wrong=tuple(wrong[:5]),
    )


def chance_of(answers: Sequence[str | None], titles: Sequence[str]) -> float:
    """Expected share of matches where the answers are dealt out to the titles at random."""
    given = Counter(bare(text) for text in answers if text is not None)
    there = Counter(bare(title) for title in titles)
    return sum(count * there[text] for text, count in given.items()) / max(len(titles), 1) ** 2


def bare(title: str) -> str:
    """The words of a title: without year, capitals and punctuation, the article in front."""
    text = re.sub(r"\(\s*\d{4}[^)]*\)", "", title).strip().casefold()
    text = re.sub(r"^(.*),\s*(the|a|an)$", r"\2 \1", text)
    words = re.findall(r"\w+", text)
    return " ".join(words[1:] if len(words) > 1 and words[0] in ARTICLES else words)


def wilson(found: int, of: int) -> tuple[float, float]:
    """95 % score interval of a share (Wilson, 1927)."""
    share, more = found / of, Z**2 / of
    middle = (share + more / 2) / (1 + more)
    half = Z * math.sqrt(share * (1 - share) / of + more / (4 * of)) / (1 + more)
    return max(middle - half, 0.0) if found else 0.0, min(middle + half, 1.0) if found < of else 1.0
