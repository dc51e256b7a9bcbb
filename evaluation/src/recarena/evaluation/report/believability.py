"""The believability card on the page: how like people the mind chose on real ratings.

The card's format is in `believability/card.py`. What it lacks is not shown; a gate that is not
passed is said in red and in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recarena.evaluation.believability.card import Card
from recarena.evaluation.report import plots
from recarena.evaluation.report.blocks import (
    Block,
    Facts,
    Figure,
    Figures,
    Folded,
    Panel,
    Points,
    Section,
    Tabled,
    Text,
)
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.loose import bounded, count, listing, number, part, sentences
from recarena.evaluation.report.plots import Mark
from recarena.evaluation.report.tables import Column, Table, figure, table

MEASURES = ("auc", "accuracy", "precision", "recall", "f1", "lift", "true_found", "selected")


def card_section(content: Content) -> Section:
    """Empty without a card."""
    card = content.card
    blocks: tuple[Block, ...] = () if card is None else tuple(_blocks(card))
    return Section("believability", "Believability of the users", blocks)


def card_verdict(card: Card) -> Text:
    """The card's sentence; in red where it is not passed."""
    verdict = part(card, "verdict")
    passed = verdict.get("passed") is True
    sentence = str(verdict.get("sentence") or "The card has no verdict.")
    return Text(
        f"Believability card {'✓' if passed else '✗'} {sentence}", "under" if passed else "alarm"
    )


def card_remarks(content: Content) -> Iterator[str]:
    """What there is to be said against a missing card, or one of another mind."""
    if content.board is None:
        return
    if content.card is None:
        yield (
            "There is no believability card: how like people this mind chooses on real ratings is "
            "not known here."
        )
        return
    kinds = {str(mind.get("kind")) for mind in content.board.minds}
    own = str(part(content.card, "mind").get("kind"))
    if kinds != {own}:
        yield (
            f"The believability card is of the mind {own}, the users' is "
            f"{', '.join(sorted(kinds))}: it says nothing about this competition."
        )
    data = part(content.card, "data")
    if not {data.get("world"), data.get("name")} & set(content.board.worlds):
        yield (
            f"The believability card was measured on {data.get('name') or 'unknown data'}, and the "
            f"worlds played are {', '.join(content.board.worlds)}: whether it holds for them is "
            "not known."
        )


def _blocks(card: Card) -> Iterator[Block]:
    mind, data = part(card, "mind"), part(card, "data")
    yield card_verdict(card)
    verdict = part(card, "verdict")
    alarms = tuple(f"Alarm: {one}" for one in sentences(verdict.get("alarms")))
    if said := (*sentences(verdict.get("losses")), *alarms):
        yield Points(said, "warned bad")
    yield Facts((
        ("mind", str(mind.get("name") or mind.get("kind") or "unknown")),
        ("data", str(data.get("name") or data.get("world") or "unknown")),
        ("users measured", count(data.get("measured"))),
        ("seed", count(part(card, "made").get("seed"))),
    ))  # fmt: skip
    if gates := listing(verdict.get("gates")):
        yield Tabled(_gates(gates))
    drawn = [one for one in (_discrimination(card, kind) for kind in ("matched", "uniform")) if one]
    if drawn:
        yield Figures(tuple(drawn))
    for summary, one in _studies(card):
        if one.rows:
            yield Folded(summary, one)
    if notes := sentences(card.get("notes")):
        yield Points(notes, "small soft")


def _gates(gates: Sequence[Mapping[str, Any]]) -> Table:
    return table(
        "Gates of the card; every one has to be passed",
        ("gate", Column("verdict", words=True), Column("value", words=True),
         Column("in words", words=True, long=True)),
        [
            (str(one.get("name")), _judged(one.get("passed")),
             bounded(one.get("value")), str(one.get("text") or ""))
            for one in gates
        ],
    )  # fmt: skip


def _discrimination(card: Card, negatives: str) -> Figure | None:
    """AUC of mind and baselines at 1:1 (or the first ratio that there is)."""
    found = [
        one for one in listing(card.get("discrimination")) if one.get("negatives") == negatives
    ]
    if not found:
        return None
    first = found[0]
    measured = {str(who): part(one, "auc") for who, one in part(first, "answers").items() if one}
    marks = [
        Mark(who, number(auc.get("mean")), number(auc.get("low")), number(auc.get("high")),
             figure(number(auc.get("mean")), 3), filled=who == "mind")
        for who, auc in measured.items()
    ]  # fmt: skip
    said = "; ".join(f"{mark.label} {mark.figures}" for mark in marks)
    kind = {"matched": "as popular as they are", "uniform": "drawn alike"}[negatives]
    return Figure(
        f"AUC of telling held-out items from others {kind}, 1:{first.get('ratio')}; dashed: chance",
        (Panel("", plots.forest(marks, f"AUC, others {kind}: {said}", 0.5)),),
        table(
            f"All measures, others {kind}, by number of others for each true item",
            ("who", "others", *MEASURES),
            [
                (str(who), f"{one.get('ratio')}", *(bounded(answers.get(name), 3)
                                                    for name in MEASURES))
                for one in found
                for who, answers in part(one, "answers").items() if answers
            ],
        ),
    )  # fmt: skip


def _studies(card: Card) -> Iterator[tuple[str, Table]]:
    yes, position = part(card, "yes_bias"), part(card, "position")
    yield "Yes-bias", table(
        "Share of the slate that is chosen, as fewer of it are true",
        ("others for each true item", "true", "chosen"),
        [
            (str(one.get("ratio")), figure(number(one.get("truth")), 3),
             bounded(one.get("selected"), 3))
            for one in listing(yes.get("shares"))
        ],
    )  # fmt: skip
    yield (
        "Position bias",
        table(
            "Share chosen by place on the slate, permuted",
            ("place", "chosen", "shown"),
            [
                (
                    str(one.get("place")),
                    bounded(one.get("selected"), 3),
                    count(one.get("shown")),
                )
                for one in listing(position.get("places"))
            ],
        ),
    )
    ratings = part(card, "ratings")
    yield "Ratings", table(
        "Errors of ratings, on the scale 1 to 5, and skill against baselines",
        ("measure", "value"),
        [
            *((f"{name} of the mind", bounded(one, 3))
              for name, one in part(ratings, "mind").items()),
            *((f"skill against {name}", bounded(one, 3))
              for name, one in part(ratings, "skill").items()),
        ],
    )  # fmt: skip
    cocoon, conformity = part(card, "cocoon"), part(card, "conformity")
    yield "Cocoon and conformity", table(
        "What people are known for: narrowing with a personalised recommender, and ratings that "
        "follow those shown",
        ("study", "value"),
        [
            *((f"slope of genre entropy, {what}: {who}", bounded(part(cocoon, what).get(who), 4))
              for what in ("shown", "watched") if cocoon
              for who in ("personalised", "random", "difference")),
            *([("slope of the rating on the rating shown", bounded(conformity.get("slope"), 3))]
              if conformity else []),
        ],
    )  # fmt: skip
    yield "Contamination", table(
        "How well true items are told where titles say nothing",
        (Column("titles", words=True), "users", "AUC", "less with titles"),
        [
            (str(one.get("titles")), count(one.get("users")), bounded(one.get("auc"), 3),
             bounded(one.get("difference"), 3))
            for one in listing(card.get("contamination"))
        ],
    )  # fmt: skip


def _judged(passed: Any) -> str:
    if passed is None:
        return "? not judged"
    return "✓ passed" if passed else "✗ failed"
