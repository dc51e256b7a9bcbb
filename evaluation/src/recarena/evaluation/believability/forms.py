"""A card as people read it: sections with a table each, the same on a terminal and in a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recarena.evaluation.believability.card import Card

if TYPE_CHECKING:
    from rich.console import Console

NAMES = {
    "mind": "the mind",
    "mind-on-the-same": "the mind, same items",
    "shuffled-persona": "shuffled persona",
    "random": "random",
    "popularity": "popularity",
    "item-mean": "item mean",
    "user-mean": "user mean",
    "constant": "constant",
    "plain": "as they are",
    "numbers": "numbered",
    "ids": "the source's ids",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what to make of it, and a table; cells are text, the first one names the row."""

    id: str
    title: str
    text: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    marks: Sequence[str] = field(default_factory=tuple[str, ...])
    """Beside the rows: "good", "bad" or ""; empty: none."""


def sections(card: Card) -> list[Section]:
    """All that there is to show of a card, verdict first."""
    return [
        _verdict(card),
        _aucs(card),
        _margins(card),
        _answers(card),
        _yes_bias(card),
        _position(card),
        *_ratings(card),
        *_cocoon(card),
        *_conformity(card),
        *_contamination(card),
    ]


def show(card: Card, console: Console) -> None:
    """All sections, the verdict in green or red, and the notes."""
    from rich.table import Table
    from rich.text import Text

    passed = card["verdict"]["passed"]
    console.print(
        Text(f"Believability card: {card['mind']['name']} mind, {card['data']['name']}", "bold")
    )
    console.print(Text(card["verdict"]["sentence"], "bold green" if passed else "bold red"))
    for loss in card["verdict"]["losses"]:
        console.print(Text(loss, "bold red"))
    for alarm in card["verdict"]["alarms"]:
        console.print(Text(f"ALARM: {alarm}", "bold red"))
    for section in sections(card):
        console.print()
        table = Table(title=section.title, title_style="bold", title_justify="left")
        for at, column in enumerate(section.columns):
            table.add_column(column, justify="right" if at else "left", overflow="fold")
        for at, row in enumerate(section.rows):
            mark = section.marks[at] if section.marks else ""
            style = {"good": "green", "bad": "red"}.get(mark)
            table.add_row(*(Text(cell) for cell in row), style=style)
        console.print(table)
        console.print(Text(section.text, "dim"))
    console.print()
    for note in card["notes"]:
        console.print(Text(note, "dim"))


# ------------------------------------------------------------------ sections


def _verdict(card: Card) -> Section:
    gates = card["verdict"]["gates"]
    word = {True: "yes", False: "NO", None: "unknown"}
    return Section(
        "verdict",
        "Verdict",
        "All of these have to hold. AUC: matched negatives at 1:1, user by user.",
        ("gate", "passed", "what was found"),
        [(gate["name"], word[gate["passed"]], gate["text"]) for gate in gates],
        ["good" if gate["passed"] else "bad" for gate in gates],
    )


AGAINST = ("random", "popularity", "item-mean", "shuffled-persona")


def _aucs(card: Card) -> Section:
    return Section(
        "auc",
        "AUC: telling what people went on to watch from what they never did",
        "1:9 means nine items that the user never rated for each held-out one; matched ones are "
        "as popular. One half is chance. Shuffled persona: another user is shown the slate, and "
        "what she had rated before is left out.",
        ("slate", NAMES["mind"], *(NAMES[one] for one in AGAINST[1:])),
        [
            (_slate(one), *(plus_minus(one["answers"][who]["auc"]) if who in one["answers"] else ""
                            for who in ("mind", *AGAINST[1:])))
            for one in card["discrimination"]
        ],
    )  # fmt: skip


def _margins(card: Card) -> Section:
    found: dict[str, dict[str, Any]] = {}
    for one in card["margins"]:
        found.setdefault(_slate(one), {})[one["against"]] = one["auc"]
    worst = [min((_sign(value) for value in row.values()), key=("bad", "", "good").index)
             for row in found.values()]  # fmt: skip
    return Section(
        "margins",
        "AUC of the mind minus that of others, user by user",
        "An interval above 0: the mind knows more of the user than the baseline does. Red: it "
        "loses to one of them.",
        ("slate", *(NAMES[one] for one in AGAINST)),
        [(slate, *(span(row[who]) if who in row else "" for who in AGAINST))
         for slate, row in found.items()],
        worst,
    )  # fmt: skip


def _answers(card: Card) -> Section:
    keys = ("accuracy", "precision", "recall", "f1", "lift", "true_found", "selected")
    return Section(
        "answers",
        "What it chose",
        "found: |S and T|/|T| with the T items chosen most often, the test of RecAgent. lift: "
        "precision over chance. popular: accuracy of popularity with as many items chosen. All "
        "measures of all baselines stand in card.json.",
        ("slate", "accuracy", "precision", "recall", "F1", "lift", "found", "chosen", "popular"),
        [
            (_slate(one), *(plus_minus(one["answers"]["mind"][key]) for key in keys),
             plus_minus(one["answers"]["popularity"]["accuracy"]))
            for one in card["discrimination"]
        ],
    )  # fmt: skip


def _slate(one: Mapping[str, Any]) -> str:
    return f"1:{one['ratio']} {one['negatives']}"


def _yes_bias(card: Card) -> Section:
    found = card["yes_bias"]
    last = found["shares"][-1]["ratio"]
    return Section(
        "yes-bias",
        "Saying yes",
        f"Chosen beyond what is true at 1:{last}: {span(found['excess'], share=True)}. Change of "
        f"the share from 1:1: {span(found['change'], share=True)}; who always knows changes by "
        f"{1 / (1 + last) - 0.5:+.0%}.",
        ("slate", "true", "chosen"),
        [(f"1:{one['ratio']}", f"{one['truth']:.0%}", plus_minus(one["selected"], share=True))
         for one in found["shares"]],
    )  # fmt: skip


def _position(card: Card) -> Section:
    found = card["position"]
    return Section(
        "position",
        "Place on the page",
        "The same slates in other orders. Share chosen in the first three of ten places minus the "
        f"last three: {span(found['top_to_bottom'], share=True)}; with log2(place + 1): "
        f"{span(found['slope'], share=True)}.",
        ("place", *(str(one["place"]) for one in found["places"])),
        [("chosen", *(_share(one["selected"]) for one in found["places"]))],
    )


def _ratings(card: Card) -> Iterator[Section]:
    found = card["ratings"]
    if not found:
        return
    mind = found["mind"]
    rows: list[Sequence[str]] = [
        ("the mind", plus_minus(mind["mae"]), plus_minus(mind["rmse"]), "")
    ]
    rows += [
        (NAMES[name], plus_minus(found[name]["mae"]), plus_minus(found[name]["rmse"]),
         span(found["skill"][name]))
        for name in ("constant", "user-mean", "item-mean")
    ]  # fmt: skip
    people = ", ".join(f"{one} {share:.0%}" for one, share in found["shares"]["people"].items())
    ours = ", ".join(f"{one} {share:.0%}" for one, share in found["shares"]["mind"].items())
    yield Section(
        "ratings",
        "Ratings of held-out items",
        f"{found['ratings']:,} ratings of {found['users']} users, {found['coverage']:.0%} of what "
        "was held out. skill: 1 - MAE of the mind / MAE of the row. Wasserstein "
        f"{plus_minus(mind['wasserstein'])}, SD ratio {plus_minus(mind['sd_ratio'])}, bias "
        f"{span(mind['bias'])}. People gave {people}; the mind {ours}.",
        ("", "MAE", "RMSE", "skill of the mind over it"),
        rows,
    )


def _cocoon(card: Card) -> Iterator[Section]:
    found = card["cocoon"]
    if not found:
        return
    yield Section(
        "cocoon",
        "Information cocoon",
        f"Slope of genre entropy in nats a round, {found['worlds']} worlds of {found['rounds']} "
        f"rounds, with {found['recommender']} and with {found['control']}. Below 0 what users see "
        "or watch grows narrower.",
        ("", found["recommender"], found["control"], "difference"),
        [(name, *(span(found[name][key], digits=4)
                  for key in ("personalised", "random", "difference")))
         for name in ("shown", "watched")],
    )  # fmt: skip


def _conformity(card: Card) -> Iterator[Section]:
    found = card["conformity"]
    if not found:
        return
    yield Section(
        "conformity",
        "Conformity",
        "Change of a rating with one point of the displayed mean, which was moved at random in two "
        "copies of the world and nothing else with it.",
        ("", "slope", "moved by", "ratings"),
        [("the mind", span(found["slope"]), f"{found['shift']:.2f}", f"{found['pairs']:,}")],
    )


def _contamination(card: Card) -> Iterator[Section]:
    found = card["contamination"]
    if not found:
        return
    yield Section(
        "contamination",
        "Without titles",
        "The same slates with other titles. What is lost without them was knowledge of films, not "
        "of the user; what ids bring back was learned from the data set.",
        ("titles", "accuracy", "AUC", "accuracy against as they are"),
        [(NAMES[one["titles"]], plus_minus(one["accuracy"]), plus_minus(one["auc"]),
          span(one["difference"])) for one in found],
    )  # fmt: skip


# ------------------------------------------------------------------ numbers


def plus_minus(value: Mapping[str, Any], *, share: bool = False) -> str:
    """A mean with half the width of its interval; "–" for what was not measured."""
    mean = value["mean"]
    if mean is None:
        return "–"
    half = None if value["low"] is None else (value["high"] - value["low"]) / 2
    if share:
        return f"{mean:.0%}" if half is None else f"{mean:.0%} ±{half:.0%}"
    return f"{mean:.3f}" if half is None else f"{mean:.3f} ±{half:.3f}"


def span(value: Mapping[str, Any], *, share: bool = False, digits: int = 3) -> str:
    """A signed mean with the ends of its interval."""
    form = "+.1%" if share else f"+.{digits}f"
    if value["mean"] is None:
        return "–"
    if value["low"] is None:
        return f"{value['mean']:{form}}"
    return f"{value['mean']:{form}} ({value['low']:{form}} to {value['high']:{form}})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _sign(value: Mapping[str, Any]) -> str:
    if value["low"] is None:
        return ""
    return "good" if value["low"] > 0 else "bad" if value["high"] < 0 else ""
