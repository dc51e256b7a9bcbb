"""What the page shows of one judge, block by block, from findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recarena.evaluation.judging import drawings
from recarena.evaluation.judging.drawings import SIGNS, bounds, ends, signed
from recarena.evaluation.judging.findings import CAVEAT, Findings
from recarena.evaluation.report.blocks import Block, Figure, Figures, Folded, Tabled, Text
from recarena.evaluation.report.tables import Column, Table, figure, probability, share, table

Judge = Mapping[str, Any]
IN_TABLE = (
    "persuasiveness", "specificity", "false_fact", "placebo_effect", "hype_uplift", "hype_index",
    "necessity", "effectiveness", "informativeness", "faithfulness",
)  # fmt: skip
WORDS = {
    "persuasiveness": "real − placebo", "naive": "real − none", "specificity": "real − shuffled",
    "false_fact": "false-fact − placebo", "placebo_effect": "placebo − none",
    "hype_uplift": "hype − placebo", "hype_index": "hype index, bad items",
    "necessity": "necessity", "effectiveness": "effectiveness",
    "informativeness": "informativeness", "faithfulness": "faithfulness",
}  # fmt: skip


def ranked(one: Mapping[str, Any], under: str) -> Iterator[Block]:
    """Places by persuasiveness with what separates them, or by which gates they are withheld."""
    if not one["published"]:
        yield Text(f"Ranking {one['sentence']}", "alarm")
        return
    yield Tabled(table(
        f"Places by persuasiveness (real − placebo), separated at 5 % over all pairs, {under}",
        ("", "place", "real − placebo"),
        [(each["name"], each["place"].replace("-", "–"), signed(each["mean"], 3))
         for each in one["places"]],
    ))  # fmt: skip
    if one["pairs"]:
        yield Folded("Pairs", _pairs(one["pairs"], under))


def effects(judge: Judge, under: str, *, withheld: bool = False) -> Iterator[Block]:
    """Everything about behaviour."""
    contrasts = judge["contrasts"]
    groups = {**contrasts["by_recommender"], "all": contrasts["all"]}
    yield Figures((
        drawings.contrast(
            _measure(contrasts["by_recommender"], "persuasiveness"),
            "Persuasiveness, real − placebo" + (" (withheld)" if withheld else ""), under,
            greyed=withheld,
        ),
        drawings.contrast(
            _measure(contrasts["by_recommender"], "naive"),
            "Naive, real − none (never ranked on)", under, greyed=True,
        ),
    ))  # fmt: skip
    yield Tabled(_measures(groups, under))
    second: list[Figure] = [drawings.watch_rates(contrasts["all"]["watch_rates"], under)]
    if contrasts["all"]["calibration"]:
        second.append(drawings.calibration(contrasts["all"]["calibration"], under))
    yield Figures(tuple(second))
    yield Tabled(_oversold(groups, under))
    if contrasts["all"]["quiz"]["accuracy"]:
        yield Folded("Quiz by condition", _quiz(groups, under))
    if contrasts["by_method"]:
        yield Folded("The same by method of explanation",
                     _measures(contrasts["by_method"], under))  # fmt: skip
    yield Folded("Missing answers", _missing(contrasts["all"]["missing"], under))


def said(judge: Judge, findings: Findings) -> Iterator[Block]:
    """Everything about statements; nothing where there were none."""
    scales, sheet = judge["questionnaire_scales"], findings["questionnaire"]
    if scales is None or sheet is None:
        return
    under = judge["under"]
    rows = scales["constructs"]
    yield Figures((drawings.constructs(rows, sheet["lowest"], sheet["highest"], under),))
    yield Figures((
        drawings.contrast({one["title"]: one["real_less_placebo"] for one in rows},
                          "Real − placebo by construct", under),
    ))  # fmt: skip
    yield Tabled(table(
        f"Constructs, {under}",
        ("construct", "real − placebo", Column("interval", words=True), "Cronbach’s α",
         "ICC over wordings", "Krippendorff’s α over repeats"),
        [
            (one["title"], signed(one["real_less_placebo"]["mean"]), ends(one["real_less_placebo"]),
             figure(one["cronbach_alpha"]["value"]), figure(one["icc_over_wordings"]["value"]),
             figure(one["krippendorff_over_repeats"]))
            for one in rows
        ],
    ))  # fmt: skip
    rankings = scales["rankings"]
    if rankings["published"]:
        yield Tabled(_scale_places(rankings["constructs"], sheet["constructs"], under))
    else:
        yield Text(f"Ranking by statements {rankings['sentence']}", "alarm")
    yield Folded("Correlations between constructs", table(
        f"Correlations between constructs inside conditions, {under}",
        ("", "and", "correlation"),
        [(one["a"], one["b"], figure(one["correlation"])) for one in scales["correlations"]],
    ))  # fmt: skip
    yield Folded("Probes", _probes(judge["probes"], under))


def delivery(findings: Findings) -> Iterator[Block]:
    """What withholding explanations by a draw showed while the run was played, if any were."""
    rows = findings["about"].get("delivery")
    if not rows:
        return
    yield Text(
        "While the run was played, each explanation was shown or withheld by a draw for the user, "
        "the item and the round. All exposures count as they were drawn, whatever the user made of "
        "them. Whoever played the users is measured here, not the judges; the difference is to be "
        "held against their real − none, and as that it counts what empty words do."
    )
    yield Tabled(table(
        f"Share of exposures from which the item was watched, data {findings['under']['data']}: "
        f"{CAVEAT}",
        ("", "shown", "watched", "withheld", "watched", "difference",
         Column("interval", words=True), "users"),
        [
            (one["recommender"], str(one["shown"]), share(one["rate_shown"]),
             str(one["withheld"]), share(one["rate_withheld"]), signed(one["effect"], 3),
             ends(one, 3), str(one["users"]))
            for one in rows
        ],
    ))  # fmt: skip


def examples(findings: Findings) -> Iterator[Block]:
    """What users were told, in full, once for each recommender."""
    for one in findings["about"].get("examples") or ():
        yield Tabled(table(
            f"{one['recommender']}: what user {one['user']} is told of {one['title']} "
            f"({one['triple']})",
            ("condition", Column("words", words=True, long=True)),
            [(condition, words or "(nothing)") for condition, words in one["told"].items()],
        ))  # fmt: skip


def gate_table(judge: Judge) -> Table:
    """Every gate with what it means and what was found."""
    return table(
        f"Gates of {judge['judge']}",
        ("gate", Column("outcome", words=True), "value", Column("interval", words=True),
         Column("threshold", words=True, long=True), Column("meaning", words=True, long=True),
         Column("found", words=True, long=True)),
        [
            (one["id"], f"{SIGNS[one['outcome']]} {one['outcome']}", figure(one["value"], 3),
             bounds({**one, "reason": ""}, 3), one["threshold"], one["meaning"], one["said"])
            for one in judge["gates"]
        ],
    )  # fmt: skip


def compared(judge: Judge) -> Iterator[Block]:
    """Explanations shown two at a time."""
    for one in judge["comparisons"]:
        yield Tabled(table(
            f"Shown two at a time, on {one['construct']}, in both orders: what the order decided "
            f"is a tie. {share(one['first_shown'])} of {one['preferences']} preferences were for "
            f"what was shown first; {one['incomplete']} comparisons lack an answer. "
            f"{judge['under']}",
            ("", Column("against", words=True), "share won", Column("interval", words=True),
             "won", "lost", "ties", "decided by order"),
            [
                (duel["a"], duel["b"], share(duel["share_of_a"]["mean"]),
                 bounds(duel["share_of_a"]), str(duel["won"]), str(duel["lost"]),
                 str(duel["ties"]), str(duel["inconsistent"]))
                for duel in one["duels"]
            ],
        ))  # fmt: skip
        yield Folded("Strengths (Bradley–Terry)", table(
            f"Log strengths from users' comparisons on {one['construct']}, {judge['under']}",
            ("", "strength", Column("interval", words=True), "comparisons"),
            [(name, signed(each["strength"]), ends(each), str(each["comparisons"]))
             for name, each in one["strengths"].items()],
        ))  # fmt: skip


def _measure(groups: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {group: one["measures"][name] for group, one in groups.items()}


def _measures(groups: Mapping[str, Any], under: str) -> Table:
    return table(
        f"Measures, mean over users with 95 % interval, {under}",
        ("measure", *(Column(name, words=True) for name in groups)),
        [
            (WORDS[name], *(_cell(one["measures"][name], name) for one in groups.values()))
            for name in IN_TABLE
        ],
    )


def _cell(one: Mapping[str, Any], name: str) -> str:
    if one["mean"] is None:
        return f"– ({one['reason']})"
    if name == "faithfulness":
        return f"{share(one['mean'])} ({one['triples']} of {one['of']} explanations claim)"
    return f"{signed(one['mean'], 3)} ({ends(one, 3)})"


def _oversold(groups: Mapping[str, Any], under: str) -> Table:
    return table(
        f"Overselling: expected − found after watching, and expected − expected under placebo, "
        f"{under}",
        ("condition", Column("whose", words=True), "expected − found",
         Column("interval", words=True), Column("oversold", words=True), "above placebo",
         Column("interval", words=True), Column("beyond placebo", words=True)),
        [
            (condition, name, signed(each["gap"]["mean"]), ends(each["gap"]),
             "yes" if each["oversold"] else "no", signed(each["above_placebo"]["mean"]),
             ends(each["above_placebo"]), "yes" if each["beyond_placebo"] else "no")
            for name, one in groups.items()
            for condition, each in one["oversold"].items()
        ],
    )  # fmt: skip


def _quiz(groups: Mapping[str, Any], under: str) -> Table:
    return table(
        f"Quiz on catalogue facts, {under}",
        ("condition", Column("whose", words=True), "right", "“I don’t know”", "without answer"),
        [
            (
                condition,
                name,
                share(one["quiz"]["accuracy"][condition]["mean"]),
                share(each["mean"]),
                share(each["missing"]),
            )
            for name, one in groups.items()
            for condition, each in one["quiz"]["unknown"].items()
        ],
    )


def _missing(by_asked: Mapping[str, Any], under: str) -> Table:
    return table(
        f"Missing answers: left out of every mean, {under}",
        ("asked", Column("condition", words=True), "missing", "of", "share",
         Column("why", words=True)),
        [
            (asked, condition, str(one["missing"]), str(one["asked"]), share(one["share"]),
             ", ".join(f"{count} {why.lower()}" for why, count in one["reasons"].items()))
            for asked, by_condition in by_asked.items()
            for condition, one in by_condition.items()
        ],
    )  # fmt: skip


def _pairs(rows: Sequence[Mapping[str, Any]], under: str) -> Table:
    return table(
        f"Pairs, over the users who have both, {under}",
        ("", Column("against", words=True), "difference", Column("interval", words=True), "users",
         "adjusted p", Column("ahead", words=True)),
        [
            (one["a"], one["b"], signed(one["difference"], 3), ends({**one, "reason": ""}, 3),
             str(one["users"]), probability(one["adjusted_p"]), one["leader"] or "open")
            for one in rows
        ],
    )  # fmt: skip


def _scale_places(by_construct: Mapping[str, Any], titles: Mapping[str, str], under: str) -> Table:
    return table(
        f"Places by real − placebo of each construct (Holm over pairs and constructs), {under}",
        ("construct", Column("recommender", words=True), "place", "real − placebo"),
        [
            (titles[construct], each["name"], each["place"].replace("-", "–"), signed(each["mean"]))
            for construct, one in by_construct.items()
            for each in one["places"]
        ],
    )


def _probes(one: Mapping[str, Any], under: str) -> Table:
    rows = [("who asks wrote it: kinder by, in points", one["authorship"]),
            ("changed after “are you sure?”, share", one["flips"]),
            ("praise − empty words, watched", one["hype_less_placebo_watched"])]  # fmt: skip
    rows += [(f"praise − empty words, {name}", each)
             for name, each in one["hype_less_placebo"].items()]  # fmt: skip
    return table(
        f"Ways of asking that should make no difference, {under}",
        ("", "mean", Column("interval", words=True), "triples"),
        [(name, signed(each["mean"]), ends(each), f"{each['triples']} of {each['of']}")
         for name, each in rows],
    )  # fmt: skip
