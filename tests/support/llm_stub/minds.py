"""Who answers: at random, or by a script."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from support.llm_stub.asking import Asked, Json, Mind
from support.llm_stub.inquiries import AT_RANDOM
from support.llm_stub.sampling import fitted, sample, words

ACTIVITIES = (("RECOMMENDER", 0.55), ("SOCIAL", 0.25), ("NOTHING", 0.2))
THENS = (("NEXT", 0.3), ("SEARCH", 0.05), ("LEAVE", 0.65))
WATCHES = 0.2
LAST_PAGE = 3
FEELINGS = ("It moved me.", "It was too long.", "I laughed a lot.", "Not for me.", "Well made.")
SEARCHES = ("comedy", "old westerns", "something with music", "space", "a true story")
REMARKS = (
    "I keep thinking about {}.",
    "Has anyone seen {}?",
    "{} was better than I thought.",
    "I did not finish {}.",
    "We talked about {} all evening.",
)

Answer = str | Json
Rule = tuple[Callable[[Asked], bool], Answer | Callable[[Asked], Answer]]


def random_mind(seed: int = 0) -> Mind:
    """Valid answers, determined by the seed and the hash of the request's body alone."""

    def answer(asked: Asked) -> str:
        return written(random_answer(asked, Random(f"{seed}:{asked.body_hash}")))

    return answer


def scripted_mind(rules: Sequence[Rule], otherwise: Mind | Answer | None = None) -> Mind:
    """The answer of the first rule whose predicate holds; a dict is written as JSON."""
    last = random_mind() if otherwise is None else otherwise

    def answer(asked: Asked) -> str:
        found = next((then for holds, then in rules if holds(asked)), last)
        return written(found(asked) if callable(found) else found)

    return answer


def written(answer: Answer) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def random_answer(asked: Asked, rng: Random) -> Answer:
    """JSON if a schema was given, else the text form."""
    if asked.schema is None:
        as_text = AS_TEXT.get(asked.task)
        return as_text(asked.data, rng) if as_text else remark(asked.data, rng)
    as_json = AS_JSON.get(asked.task)
    if as_json is None:
        found = sample(asked.schema, rng)
        return found if isinstance(found, dict) else json.dumps(found)
    return fitted(as_json(asked.data, rng), asked.schema, rng)


def listed(data: Json, name: str) -> list[Any]:
    found = data.get(name)
    return found if isinstance(found, list) else []


def entries(data: Json, name: str) -> list[Json]:
    return [entry for entry in listed(data, name) if isinstance(entry, dict)]


def name_of(data: Json, who: str) -> str:
    person = data.get(who)
    return str(person.get("name", who)) if isinstance(person, dict) else who


def weighted(choices: Sequence[tuple[str, float]], rng: Random) -> str:
    return rng.choices([name for name, _ in choices], [weight for _, weight in choices])[0]


def title(data: Json, rng: Random) -> str:
    """Of a film that the data speaks of, or something else to talk about."""
    known = [
        str(entry["title"])
        for name in ("topics", "page", "watched", "heard_of")
        for entry in entries(data, name)
        if entry.get("title")
    ]
    return rng.choice(known) if known else words(rng, 2, 3)


def remark(data: Json, rng: Random) -> str:
    return rng.choice(REMARKS).format(title(data, rng))


def activity(rng: Random) -> str:
    return weighted(ACTIVITIES, rng)


def then(data: Json, rng: Random) -> str:
    """What follows on a page; within `may`."""
    may = data.get("may", [name for name, _ in THENS])
    allowed = [(name, weight) for name, weight in THENS if name in may]
    number = data.get("page_number", 1)
    late = isinstance(number, int) and number > LAST_PAGE
    if not allowed or (late and "LEAVE" in may):
        return "LEAVE"
    return weighted(allowed, rng)


def watched(data: Json, rng: Random) -> list[Json]:
    """The items of a page that are watched."""
    if "WATCH" not in data.get("may", ("WATCH",)):
        return []
    return [item for item in entries(data, "page") if rng.random() < WATCHES]


def rating(rng: Random) -> int:
    return rng.choices((1, 2, 3, 4, 5), (1, 2, 4, 5, 3))[0]


def meets(data: Json, rng: Random) -> bool:
    """Whether it is a chat rather than a post."""
    may = data.get("may", ("CHAT", "POST"))
    somebody = bool(data.get("partner")) or bool(entries(data, "friends"))
    if "CHAT" not in may or "POST" not in may:
        return "CHAT" in may
    return somebody and rng.random() < 0.6


def json_activity(data: Json, rng: Random) -> Json:
    return {"activity": activity(rng), "reason": remark(data, rng)}


def json_page(data: Json, rng: Random) -> Json:
    follows = then(data, rng)
    return {
        "watch": [
            {"item": item.get("n"), "rating": rating(rng), "feeling": rng.choice(FEELINGS)}
            for item in watched(data, rng)
        ],
        "then": follows,
        "search": rng.choice(SEARCHES) if follows == "SEARCH" else "",
        "note": remark(data, rng),
        "importance": rng.randint(1, 10),
    }


def json_social(data: Json, rng: Random) -> Json:
    chats = meets(data, rng)
    about = rng.choice([0, *(topic.get("n") for topic in entries(data, "topics"))])
    turns = rng.randint(2, 5) if chats else 0
    return {
        "action": "CHAT" if chats else "POST",
        "about": about,
        "sentiment": rng.randint(-2, 2),
        "words": remark(data, rng),
        "dialogue": [
            {"speaker": ("you", "partner")[turn % 2], "words": remark(data, rng)}
            for turn in range(turns)
        ],
        "note": remark(data, rng),
        "importance": rng.randint(1, 10),
        "partner_note": remark(data, rng) if chats else "",
        "partner_importance": rng.randint(1, 10),
    }


def json_reflect(data: Json, rng: Random) -> Json:
    memories = listed(data, "memories") or listed(data, "recent")
    numbers = [
        memory.get("n", at) if isinstance(memory, dict) else at
        for at, memory in enumerate(memories, 1)
    ]
    return {
        "insights": [
            {
                "text": remark(data, rng),
                "rests_on": sorted(rng.sample(numbers, min(len(numbers), rng.randint(1, 3)))),
            }
            for _ in range(rng.randint(1, 3))
        ]
    }


def json_converse(data: Json, rng: Random) -> Json:
    return {"words": remark(data, rng)}


AS_JSON: dict[str, Callable[[Json, Random], Json]] = {
    "activity": json_activity,
    "page": json_page,
    "social": json_social,
    "reflect": json_reflect,
    "converse": json_converse,
    **AT_RANDOM,
}


def text_activity(data: Json, rng: Random) -> str:
    return f"[{activity(rng)}]:: {remark(data, rng)}"


def text_page(data: Json, rng: Random) -> str:
    if chosen := [str(item.get("title", "")) for item in watched(data, rng)]:
        return f"[WATCH]:: {';'.join(chosen)}"
    follows = then(data, rng)
    return f"[{follows}]::" + (f" {rng.choice(SEARCHES)}" if follows == "SEARCH" else "")


def text_feeling(data: Json, rng: Random) -> str:
    return f"[FEEL]:: {rating(rng)};{rng.choice(FEELINGS)}"


def text_importance(data: Json, rng: Random) -> str:
    return f"[IMPORTANCE]:: {rng.randint(1, 10)}"


def text_social(data: Json, rng: Random) -> str:
    names = [str(friend.get("name", "")) for friend in entries(data, "friends")]
    if not names and data.get("partner"):
        names = [name_of(data, "partner")]
    if names and meets(data, rng):
        return f"[CHAT]::{rng.choice(names)};{remark(data, rng)}"
    return f"[POST]::{remark(data, rng)}"


def text_dialogue(data: Json, rng: Random) -> str:
    names = (name_of(data, "you"), name_of(data, "partner"))
    turns = range(rng.randint(2, 6))
    return "\n".join(f"[{names[turn % 2]}]:: {remark(data, rng)}" for turn in turns)


def text_insights(data: Json, rng: Random) -> str:
    return "\n".join(f"[INSIGHT]:: {remark(data, rng)}" for _ in range(rng.randint(1, 3)))


AS_TEXT: dict[str, Callable[[Json, Random], str]] = {
    "activity": text_activity,
    "page": text_page,
    "feeling": text_feeling,
    "importance": text_importance,
    "social": text_social,
    "dialogue": text_dialogue,
    "insight": text_insights,
    "reflect": text_insights,
    "converse": remark,
}
