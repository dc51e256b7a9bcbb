"""Answers to what users are asked beside a simulation: at random, or as somebody who reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from random import Random
from typing import Any

from support.llm_stub.asking import Asked, Json, Mind
from support.llm_stub.sampling import words

NOT_APPLICABLE = "N/A"
UNKNOWN = "don't know"
INCLINED = -0.6
"""Log-odds of watching something that speaks to none of one's interests."""
FOR_AN_INTEREST = 1.1
_WORD = re.compile(r"[\w-]+")


def _entries(data: Json, name: str) -> list[Json]:
    found = data.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _entry(data: Json, name: str) -> Json:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _steps(data: Json) -> list[int]:
    """The numbers of the scale: "1: not at all" is 1."""
    scale = data.get("scale")
    found = [re.match(r"-?\d+", str(one)) for one in scale] if isinstance(scale, list) else []
    return sorted(int(one[0]) for one in found if one) or [1, 2, 3, 4, 5]


# ------------------------------------------------------------------ at random


def _choose(data: Json, rng: Random) -> Json:
    return {"watch": [one.get("n") for one in _entries(data, "page") if rng.random() < 0.2]}


def _stars(data: Json, rng: Random) -> Json:
    return {"rating": rng.choices((1, 2, 3, 4, 5), (1, 2, 4, 5, 3))[0]}


def _questionnaire(data: Json, rng: Random) -> Json:
    steps = _steps(data)
    return {
        "answers": [
            {"n": one.get("n"), "value": rng.choice(steps) if rng.random() < 0.95 else "N/A"}
            for one in _entries(data, "statements")
        ]
    }


def _quiz(data: Json, rng: Random) -> Json:
    return {
        "answers": [
            {"n": one.get("n"), "option": rng.choice([UNKNOWN, *_numbers(one)])}
            for one in _entries(data, "questions")
        ]
    }


def _numbers(question: Json) -> list[Any]:
    return [one.get("n") for one in _entries(question, "options")]


def _compare(data: Json, rng: Random) -> Json:
    return {"choice": rng.choice(("FIRST", "SECOND", "NEITHER"))}


def _talk(data: Json, rng: Random) -> Json:
    return {"words": f"I would say {words(rng)}."}


def _compose(data: Json, rng: Random) -> Json:
    most = data.get("max_chars")
    text = words(rng, 20, 60).capitalize()
    return {"text": text[: most if isinstance(most, int) else 100].strip() or "A"}


AT_RANDOM: dict[str, Callable[[Json, Random], Json]] = {
    "ask_choose": _choose,
    "ask_compare": _compare,
    "ask_expect": _stars,
    "ask_questionnaire": _questionnaire,
    "ask_quiz": _quiz,
    "ask_rate": _stars,
    "ask_talk": _talk,
    "compose": _compose,
}


# ------------------------------------------------------------------ as somebody who reads


def reader_mind(seed: int = 0) -> Mind:
    """A person with interests: what names one of them is liked better, in an item's genres and in
    what is said of it. Words about anything else, whatever they want, are read and do nothing.
    Determined by the seed and the request; what is asked of it otherwise it answers at random."""
    from support.llm_stub.minds import random_mind

    otherwise = random_mind(seed)

    def answer(asked: Asked) -> str:
        read = AS_A_READER.get(asked.task)
        if read is None:
            return otherwise(asked)
        rng = Random(f"{seed}:{asked.body_hash}")
        return json.dumps(read(asked.data, rng), ensure_ascii=False)

    return answer


def _words(text: object) -> set[str]:
    return {one.lower() for one in _WORD.findall(str(text or ""))}


def interests(data: Json) -> set[str]:
    return _words(_entry(data, "you").get("interests"))


def appeal(data: Json, item: Json) -> int:
    """How many of the user's interests an item and what is said of it name."""
    return len(interests(data) & (_words(item.get("genres")) | _words(item.get("why"))))


def _read_choose(data: Json, rng: Random) -> Json:
    def likes(item: Json) -> bool:
        odds = INCLINED + FOR_AN_INTEREST * appeal(data, item) - 2.0 * bool(item.get("seen"))
        return rng.random() < 1 / (1 + math.exp(-odds))

    return {"watch": [one.get("n") for one in _entries(data, "page") if likes(one)]}


def _read_stars(data: Json, rng: Random) -> Json:
    mean = 2.6 + 0.8 * appeal(data, _entry(data, "item"))
    return {"rating": min(max(round(rng.gauss(mean, 0.7)), 1), 5)}


def _read_questionnaire(data: Json, rng: Random) -> Json:
    steps, hits = _steps(data), len(interests(data) & _words(_entry(data, "item").get("why")))
    middle = steps[0] + (steps[-1] - steps[0]) * min(0.3 + 0.3 * hits, 0.9)
    return {
        "answers": [
            {"n": one.get("n"),
             "value": min(max(round(rng.gauss(middle, 0.8)), steps[0]), steps[-1])}
            for one in _entries(data, "statements")
        ]
    }  # fmt: skip


def _read_quiz(data: Json, rng: Random) -> Json:
    """An option that what is said names; else it does not know."""
    said = _words(_entry(data, "item").get("why"))

    def option(question: Json) -> Any:
        named = [o.get("n") for o in _entries(question, "options") if _words(o.get("text")) & said]
        return named[0] if named else UNKNOWN

    return {
        "answers": [{"n": q.get("n"), "option": option(q)} for q in _entries(data, "questions")]
    }


def _read_compare(data: Json, rng: Random) -> Json:
    first, second = (appeal(data, _entry(data, name)) for name in ("first", "second"))
    found = "NEITHER" if first == second else "FIRST" if first > second else "SECOND"
    return {"choice": found}


def _read_talk(data: Json, rng: Random) -> Json:
    """Names the last thing watched, who told of what, and what comes to mind."""
    watched = _entries(data, "watched")
    told = [f"The last was {watched[0].get('title')}."] if watched else ["I watched nothing yet."]
    told += [f"{one.get('from')} told me of {one.get('title')}." for one in
             _entries(data, "heard_of")[:1]]  # fmt: skip
    for name in ("memories", "recent"):
        found = data.get(name)
        told += [str(one) for one in found[:1]] if isinstance(found, list) else []
    if turns := _entries(data, "conversation"):
        told.append(f"We spoke of {len(turns)} things.")
    return {"words": " ".join(told)[:1900]}


AS_A_READER: dict[str, Callable[[Json, Random], Json]] = {
    "ask_choose": _read_choose,
    "ask_compare": _read_compare,
    "ask_expect": _read_stars,
    "ask_questionnaire": _read_questionnaire,
    "ask_quiz": _read_quiz,
    "ask_rate": _read_stars,
    "ask_talk": _read_talk,
}


def without_answers(text: str) -> str:
    """The same with "N/A" and "don't know" for all that may be left open."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    answers = found.get("answers") if isinstance(found, dict) else None
    for one in answers if isinstance(answers, list) else ():
        if isinstance(one, dict):
            one |= {"value": NOT_APPLICABLE} if "value" in one else {}
            one |= {"option": UNKNOWN} if "option" in one else {}
    return json.dumps(found, ensure_ascii=False)
