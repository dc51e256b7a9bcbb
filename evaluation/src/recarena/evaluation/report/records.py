"""Sections on what was done, and how it can be done again: failures, costs, runs, manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.report.blocks import (
    Block,
    Code,
    Facts,
    Folded,
    Points,
    Section,
    Tabled,
    Text,
)
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.tables import NOTHING, Column, figure, listed, share, table

RATES = (
    "unusable_rate", "late_rate", "rejected_rate", "failed_rate", "lost_rate", "unknown_per_list",
    "duplicate_per_list", "excluded_per_list", "short_rate",
)  # fmt: skip
LIST_FAULTS = {
    "late_rate": "was late with {} of its pages",
    "rejected_rate": "had {} of its pages rejected as invalid",
    "failed_rate": "failed on {} of its pages",
    "lost_rate": "was gone for {} of its pages",
    "unknown_per_list": "showed items that are not in the catalogue, {} a list",
    "duplicate_per_list": "repeated items, {} a list",
    "excluded_per_list": "showed items that were not allowed, {} a list",
    "short_rate": "gave too few items in {} of its lists",
}
"""What may be wrong with lists: by name of the metric."""
ENDINGS = {
    "FLOODED": "sent more than it was asked for, and was cut off",
    "QUARANTINED": "was quarantined for refused answers in a row",
    "TOO_SLOW": "read too slowly, and was cut off",
    "PROTOCOL_VIOLATION": "broke the protocol, and was cut off",
    "SESSION_LOST": "stopped reading",
    "FENCED": "was replaced by a later session of the same name",
    "BROKEN_OFF": "hung up or died",
}
ANSWERS = {
    "LATE": "after the deadline",
    "DUPLICATE": "to what it had answered before",
    "UNKNOWN_WORK": "to what nobody had asked",
}
DIGEST_LETTERS = 16
"""Of a digest in a table."""


def conduct(content: Content) -> Section:
    """What went wrong with lists, and what recommenders did against the rules."""
    board = content.board
    blocks: list[Block] = []
    if accused := tuple(_accusations(content)):
        blocks.append(Points(accused, "warned"))
    elif board is not None:
        blocks.append(
            Text(
                "Nothing was wrong with lists of finished runs, and nobody broke a rule of the "
                "session."
            )
        )
    if board is not None:
        rates = [metric for metric in METRICS if metric.name in RATES]
        rows = [
            (
                row.recommender, f"{content.shown[row.recommender].pages:,}",
                f"{content.shown[row.recommender].lists:,}",
                *(_rate(row.intervals[metric.name].mean, metric.unit) for metric in rates),
            )
            for row in board.rows
        ]  # fmt: skip
        headings = ("recommender", "pages", "lists asked", *(metric.heading for metric in rates))
        blocks += [
            Tabled(table("What was wrong with lists, mean over worlds", headings, rows)),
            Text(
                "A page without the recommender's own list is an empty page of the recommender and "
                "stays in every denominator.", "note measure",
            ),
        ]  # fmt: skip
    if content.conduct:
        rows = [
            (
                name, listed(one.software) or NOTHING, f"{one.sessions:,}", f"{one.unsolicited:,}",
                _counted(one.endings), _counted(one.dispositions),
            )
            for name, one in content.conduct.items()
        ]  # fmt: skip
        headings = (
            "recommender", Column("software", words=True), "sessions", "unsolicited messages",
            Column("sessions ended", words=True), Column("answers nobody waited for", words=True),
        )  # fmt: skip
        blocks.append(Tabled(table("Sessions of all runs", headings, rows)))
        told = [
            (name, text) for name, one in content.conduct.items() for text in one.complaints
        ]  # fmt: skip
        if told:
            headings = ("recommender", Column("what it was told", words=True, long=True))
            complaints = table("The first complaints of each kind", headings, told)
            blocks.append(Folded("What recommenders were told was wrong", complaints))
    if let_in := content.results.get("conduct"):
        rows = [
            (str(one["recommender"]), "; ".join(map(str, one["flags"])) or "kept to the rules")
            for one in let_in
        ]
        headings = ("recommender", Column("over all its submissions", words=True, long=True))
        title = "Everybody who was let in to the competition server"
        blocks.append(Tabled(table(title, headings, rows)))
    return Section("conduct", "Failures and conduct", tuple(blocks))


def _accusations(content: Content) -> Iterator[str]:
    for row in content.board.rows if content.board else ():
        for metric in METRICS:
            value = row.intervals[metric.name].mean
            if metric.name in LIST_FAULTS and value > 0:
                how_much = _rate(value, metric.unit)
                yield f"{row.recommender} {LIST_FAULTS[metric.name].format(how_much)}."
    for name, one in content.conduct.items():
        for reason, count in one.endings.items():
            words = ENDINGS.get(reason, f"had sessions that ended with {reason}")
            yield f"{name} {words} ({_many(count, 'session')})."
        if one.unsolicited:
            yield f"{name} sent {_many(one.unsolicited, 'message')} that answered nothing."
        for kind, count in one.dispositions.items():
            words = ANSWERS.get(kind, f"of the kind {kind}")
            yield f"{name} sent {_many(count, 'answer')} {words}."


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _rate(value: float, unit: str) -> str:
    if value == 0:
        return "0"
    if unit.startswith("share"):
        return share(value, 2)
    return figure(value, 2 if value >= 0.1 else 4)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or NOTHING


def costs(content: Content) -> Section:
    """What LLM minds took, by recommender and together."""
    board = content.board
    if board is None:
        return Section("costs", "Costs", ())
    if board.thinking is None:
        nothing = Text("No user had a language model: no call was paid for.")
        return Section("costs", "Costs", (nothing,))
    thinking = [(row.recommender, row.thinking) for row in board.rows]
    rows = [
        (
            name, f"{one.calls_paid:,}", figure(one.calls_per_user_round, 3),
            NOTHING if one.tokens is None else f"{one.tokens:,}",
            figure(one.tokens_per_user_round, 1), _money(one.cost, one.currency, 2),
            _money(one.cost_per_user_round, one.currency, 6),
            share(one.failed / one.decisions if one.decisions else None),
        )
        for name, one in (*thinking, ("all together", board.thinking))
        if one is not None
    ]  # fmt: skip
    headings = (
        "recommender", "paid calls", "calls a user-round", "tokens", "tokens a user-round", "cost",
        "cost a user-round", "on a default",
    )  # fmt: skip
    caption = "What LLM minds took; on a default: decisions that fell back on one"
    return Section("costs", "Costs", (Tabled(table(caption, headings, rows)),))


def runs(content: Content) -> Section:
    rows = [
        (
            run.run_id, listed(run.recommenders), run.world,
            NOTHING if run.seed is None else str(run.seed),
            NOTHING if run.rounds is None else str(run.rounds),
            run.digest[:DIGEST_LETTERS] or NOTHING, run.error or "finished",
        )
        for run in content.runs
    ]  # fmt: skip
    words = [Column(name, words=True) for name in ("run", "recommender", "world")]
    headings = (
        *words, "seed", "rounds", Column("digest", words=True), Column("state", words=True)
    )  # fmt: skip
    runs = table("Runs", headings, rows)
    return Section("runs", "Runs", (Folded(f"All {len(rows)} runs", runs),) if rows else ())


def manifest(content: Content) -> Section:
    text = json.dumps(content.manifest, indent=2, ensure_ascii=False, sort_keys=False)
    said = (
        "Written before the first round, and not changed afterwards."
        if content.is_competition
        else "Of the first run; runs that were played one by one have no common manifest."
    )
    blocks: list[Block] = [Text(said)]
    if content.manifest_sha256:
        blocks.append(Facts((("SHA-256 of manifest.json", content.manifest_sha256),)))
    blocks.append(Code("The manifest as JSON", text))
    return Section("manifest", "Manifest", tuple(blocks))


def reproduce(content: Content) -> Section:
    commands = "\n".join(f"# {step.purpose}\n{step.command}" for step in content.steps)
    return Section("reproduce", "How to reproduce", (Code("Commands", commands),))


def _money(amount: float | None, currency: str, decimals: int) -> str:
    return "unknown" if amount is None else f"{figure(amount, decimals)} {currency}"
