"""A card from what was heard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from recarena.evaluation.believability.asking import Answers
from recarena.evaluation.believability.card import (
    FORMAT,
    FORMAT_VERSION,
    Card,
    Interval,
    interval,
)
from recarena.evaluation.believability.choosing import (
    Choices,
    Scores,
    by_place,
    measures,
    of_mind,
    of_rule,
    scores,
)
from recarena.evaluation.believability.cocoon import genre_shares, of_shown, of_watched
from recarena.evaluation.believability.conformity import conformity
from recarena.evaluation.believability.people import People, Rows
from recarena.evaluation.believability.rating import LEAKAGE_RMSE, compare, rated_pairs
from recarena.evaluation.believability.slates import POSITIVES, Draw, Negatives, dice
from recarena.evaluation.believability.study import CONTROL, GATED, Heard, Plan, Study
from recarena.evaluation.believability.verdict import (
    leak_gate,
    losses,
    margin_gate,
    skill_gate,
    verdict,
    yes_gate,
)
from recarena.evaluation.runs.thinking import together

LABEL = "simulated preference is not human preference"
NOT_FOR_LLM = "was not studied: language models are not shown mean ratings"
UNKNOWN = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class _Told:
    """Sections of the card, and what the verdict needs of them."""

    discrimination: list[dict[str, Any]]
    margins: list[dict[str, Any]]
    gated: Mapping[str, Interval]
    """Who the mind is held against -> margin in the gated condition."""
    mind: Mapping[tuple[int, Negatives], Scores]


def card(study: Study, people: People, plan: Plan, heard: Heard) -> Card:
    """Everything that `card.json` holds, in its order."""
    told = _choosing(study, people, plan, heard)
    yes = _yes_bias(told)
    ratings, rmse, skill = _ratings(study, people, plan, heard)
    contamination, alarms = _contamination(plan, heard, told)
    name = mind_name(study)
    gates = [
        *(margin_gate(who, margin) for who, margin in told.gated.items()),
        yes_gate(yes["excess"], max(study.ratios)),
        skill_gate(skill),
        leak_gate(rmse, LEAKAGE_RMSE),
    ]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "made": {
            "seed": study.seed, "slates": study.slates, "repeats": study.repeats,
            "code_version": metadata.version("recarena-evaluation"),
        },
        "mind": {
            "kind": heard.mind.get("kind", ""), "is_llm": bool(heard.mind.get("is_llm")),
            "name": name, "note": heard.mind.get("note", ""), "settings": dict(study.settings),
        },
        "data": _data(study, people, plan),
        "verdict": verdict(
            gates, losses(told.margins), alarms, f"the {name} mind",
            str(people.about.get("name", "")),
        ),
        "discrimination": told.discrimination,
        "margins": told.margins,
        "yes_bias": yes,
        "position": _position(plan, heard),
        "ratings": ratings,
        "cocoon": _cocoon(study, people, heard),
        "conformity": _conformity(plan, heard),
        "contamination": contamination,
        "notes": _notes(study, plan, heard, told),
    }  # fmt: skip


def mind_name(study: Study) -> str:
    """choice, or PROVIDER:MODEL."""
    if study.is_llm:
        return f"{study.llm['provider']}:{study.llm.get('model', '')}"
    return "choice"


def _data(study: Study, people: People, plan: Plan) -> dict[str, Any]:
    origin = people.about.get("origin") or {}
    return {
        "world": str(study.world), "name": people.about.get("name", ""),
        "source": origin.get("source", ""), "layout": origin.get("layout", ""),
        "users": len(people.user_ids), "items": len(people.item_ids),
        "history": len(people.past), "later": len(people.later), "measured": len(plan.users),
        "at_least": study.at_least, "min_history": study.min_history,
    }  # fmt: skip


# ------------------------------------------------------------------ choosing


def _rule_scores(
    people: People, answers: Answers, key: tuple[int, Negatives], number: int, seed: int
) -> dict[str, Rows]:
    items = answers.slates.items
    ratio, kind = key
    lot = dice(seed, Draw.CHANCE, ratio, list(Negatives).index(kind), number).random(items.shape)
    return {
        "random": lot,
        "popularity": people.counts[items].astype(np.float64),
        "item-mean": people.item_means[items],
    }


def _choosing(study: Study, people: People, plan: Plan, heard: Heard) -> _Told:
    sections: list[dict[str, Any]] = []
    margins: list[dict[str, Any]] = []
    minds: dict[tuple[int, Negatives], Scores] = {}
    gated: dict[str, Interval] = {}
    for key, conditions in plan.choosing.items():
        ratio, kind = key
        answers = heard.of(conditions)
        who: dict[str, list[Choices]] = {"mind": [of_mind(one) for one in answers]}
        for number, one in enumerate(answers):
            for name, wanted in _rule_scores(people, one, key, number, study.seed).items():
                who.setdefault(name, []).append(of_rule(one, wanted, study.seed + number))
        found = {name: scores(several) for name, several in who.items()}
        minds[key] = found["mind"]
        apart = {
            name: interval(found["mind"].auc - other.auc)
            for name, other in found.items() if name != "mind"
        }  # fmt: skip
        # Chance needs no draw: half of the pairs come out right.
        apart["random"] = interval(found["mind"].auc - 0.5)
        if key == GATED:
            found |= _strangers(people, plan, heard)
            own, other = found["mind-on-the-same"], found["shuffled-persona"]
            apart["shuffled-persona"] = interval(own.auc - other.auc)
            gated = apart
        margins += [
            {"ratio": ratio, "negatives": str(kind), "against": name, "auc": value}
            for name, value in apart.items()
        ]
        sections.append({
            "ratio": ratio, "negatives": str(kind), "slates": len(answers),
            "users": int((~np.isnan(found["mind"].auc)).sum()),
            "answers": {name: measures(one) for name, one in found.items()},
        })  # fmt: skip
    return _Told(sections, margins, gated, minds)


def _strangers(people: People, plan: Plan, heard: Heard) -> dict[str, Scores]:
    """The mind in other people's place, and in its own on the same items: without those that the
    stranger had rated before the split, whom the world keeps from watching them again."""
    pairs = zip(heard.of(plan.choosing[GATED]), heard.of(plan.strangers), strict=True)
    own: list[Choices] = []
    other: list[Choices] = []
    for mine, theirs in pairs:
        known = people.known_before(plan.viewers[:, None], mine.slates.items)
        own.append(of_mind(mine.without(known)))
        other.append(of_mind(theirs.without(known)))
    return {"mind-on-the-same": scores(own), "shuffled-persona": scores(other)}


def _yes_bias(told: _Told) -> dict[str, Any]:
    """On matched negatives: the share chosen, beside the share that is true."""
    share = {
        ratio: one.chosen / one.shown
        for (ratio, kind), one in told.mind.items() if kind is Negatives.MATCHED
    }  # fmt: skip
    truth = {
        ratio: one.held_out / one.shown
        for (ratio, kind), one in told.mind.items() if kind is Negatives.MATCHED
    }  # fmt: skip
    first, last = min(share), max(share)
    return {
        "shares": [
            {"ratio": ratio, "truth": 1 / (1 + ratio), "selected": interval(share[ratio])}
            for ratio in share
        ],
        "excess": interval(share[last] - truth[last]),
        "change": interval(share[last] - share[first]) if last > first else UNKNOWN,
    }


def _position(plan: Plan, heard: Heard) -> dict[str, Any]:
    """Over the conditions whose slates are ten items long."""
    answers = [
        one
        for (ratio, _), conditions in plan.choosing.items()
        for one in heard.of(conditions)
        if POSITIVES[ratio] * (1 + ratio) == 10
    ]
    found = by_place(answers)
    return {
        "places": [
            {"place": place, "selected": share, "shown": shown}
            for place, (share, shown) in enumerate(
                zip(found.selected.tolist(), found.shown.tolist(), strict=True), 1
            )
        ],
        "slope": found.slope,
        "top_to_bottom": found.top_to_bottom,
    }


# ------------------------------------------------------------------ ratings


def _ratings(
    study: Study, people: People, plan: Plan, heard: Heard
) -> tuple[dict[str, Any] | None, Interval, Interval]:
    """The section, and the RMSE and skill of the mind."""
    conditions = [plan.rated] if plan.rated else [c for own in plan.choosing.values() for c in own]
    answers = heard.of(conditions)
    found = compare(people, rated_pairs(people, answers), study.seed)
    if found is None:
        return None, UNKNOWN, UNKNOWN
    asked = sum(int((one.shown & one.slates.held_out).sum()) for one in answers)
    section = {
        "ratings": found.ratings, "users": found.users,
        "coverage": found.ratings / asked if asked else math.nan,
        "mind": dict(found.mind),
        **{name: dict(values) for name, values in found.rules.items()},
        "skill": dict(found.skill), "shares": dict(found.shares),
    }  # fmt: skip
    return section, found.mind["rmse"], found.skill["constant"]


# ------------------------------------------------------------------ studies


def _cocoon(study: Study, people: People, heard: Heard) -> dict[str, Any] | None:
    personalised, random = heard.cocoon
    if not personalised:
        return None
    genres = genre_shares(people.genres)
    return {
        "recommender": study.recommender.partition("=")[0], "control": CONTROL,
        "worlds": study.worlds, "rounds": study.rounds,
        "shown": asdict(of_shown(personalised, random, genres)),
        "watched": asdict(of_watched(personalised, random, genres)),
    }  # fmt: skip


def _conformity(plan: Plan, heard: Heard) -> dict[str, Any] | None:
    if plan.nudged is None or heard.displayed is None:
        return None
    up, down = (heard.answers[one.name] for one in plan.nudged)
    found = conformity(len(plan.users), heard.displayed, (up, down))
    return {"how": "randomised", **asdict(found)}


def _contamination(
    plan: Plan, heard: Heard, told: _Told
) -> tuple[list[dict[str, Any]] | None, list[str]]:
    """The gated condition under other titles, and an alarm where all that the mind knew was gone
    with them."""
    if not plan.disguised:
        return None, []
    plain = told.mind[GATED]
    rows = [_row("plain", plain, plain)]
    alarms: list[str] = []
    for titles, conditions in plan.disguised.items():
        found = scores([of_mind(one) for one in heard.of(conditions)])
        rows.append(_row(titles, found, plain))
        above, before = interval(found.auc - 0.5), interval(plain.auc - 0.5)
        if titles == "numbers" and before.low > 0 and not above.low > 0:
            alarms.append(
                "without titles it cannot tell what a user goes on to watch: what it knew may be "
                "the films' fame, or the data set, rather than the user"
            )
    return rows, alarms


def _row(titles: str, found: Scores, plain: Scores) -> dict[str, Any]:
    return {
        "titles": titles, "negatives": str(GATED[1]), "ratio": GATED[0],
        "users": int((~np.isnan(found.auc)).sum()),
        "accuracy": interval(found.accuracy), "auc": interval(found.auc),
        "difference": interval(found.accuracy - plain.accuracy),
        "auc_difference": interval(found.auc - plain.auc),
    }  # fmt: skip


# ------------------------------------------------------------------ notes


def _notes(study: Study, plan: Plan, heard: Heard, told: _Told) -> list[str]:
    mind = mind_name(study)
    count = len(plan.users)
    notes = [
        f"Under the {mind} mind on these data: {LABEL}.",
        f"Held out are items rated {study.at_least:g} or more after the split, by {count} users "
        f"with at least {study.min_history} ratings before it; negatives were never rated by the "
        "user. Everything that mind and baselines know is from before the split.",
        "± and intervals are 95 % over users (worlds for cocoons); users answer independently of "
        "one another here, but share items.",
        f"Each user has {study.slates} slates a condition, each shown {study.repeats} times in "
        "another order. AUC is of the share of times an item was chosen; baselines have their "
        "whole score, which is an advantage for them. They choose as many items as the mind did.",
    ]
    if study.repeats == 1:
        notes.append("Shown once, an answer is yes or no: AUC is (1 + recall - false positives)/2.")
    cells = [one.slates for one in plan.choosing[GATED]]
    there = sum(int(one.there.sum()) for one in cells)
    left = sum(
        int((~np.isnan(one.grades)).sum())
        for mine in heard.of(plan.choosing[GATED])
        for one in [of_mind(mine)]
    )
    if left < there:
        notes.append(f"{1 - left / there:.1%} of the items were not shown: the page failed.")
    if not heard.cocoon[0]:
        how = "--worlds 5" if study.is_llm else "--studies"
        notes.append(f"Information cocoons were not studied ({how} does).")
    if plan.nudged is None:
        why = NOT_FOR_LLM if study.is_llm else "was not studied (--studies does)"
        notes.append(f"Conformity {why}.")
    if plan.rated is None:
        notes.append("Only what was chosen was rated: the ratings are of a selection.")
    if not study.is_llm:
        notes.append("The choice mind reads no titles: contamination is no question.")
    elif not plan.disguised:
        notes.append("What is known by titles alone was not studied (--studies does).")
    if cost := together(heard.spent):
        notes.append(cost.sentence())
    return notes
