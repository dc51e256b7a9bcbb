"""Sections on what was done, and how it can be done again: failures, costs, runs, manifest."""

from __future__ import annotations

import json

from recarena.evaluation.report.blocks import Block, Code, Facts, Folded, Section, Tabled, Text
from recarena.evaluation.report.content import Content
from recarena.evaluation.report.tables import NOTHING, Column, figure, listed, share, table
from recarena.evaluation.runs.events import Outcome

DIGEST_LETTERS = 16
"""Of a digest in a table."""


def conduct(content: Content) -> Section:
    board = content.board
    if board is None:
        return Section("conduct", "Failures and conduct", ())
    bad = (Outcome.VIOLATIONS, Outcome.REJECTED, Outcome.LATE, Outcome.FAILED, Outcome.LOST)
    rows: list[tuple[str, ...]] = []
    for row in board.rows:
        one = content.shown[row.recommender]
        own = sum(one.outcomes[outcome] for outcome in Outcome if outcome.usable)
        rows.append((
            row.recommender, f"{one.pages:,}",
            share((one.pages - own) / one.pages if one.pages else None),
            *(f"{one.outcomes[outcome]:,}" for outcome in bad),
            f"{one.lists:,}", f"{one.violations:,}",
        ))  # fmt: skip
    headings = (
        "recommender", "pages", "without its own list", "mended", "rejected", "late", "failed",
        "lost", "lists asked", "violations",
    )  # fmt: skip
    return Section(
        "conduct",
        "Failures and conduct",
        (
            Text(
                "A page without the recommender's own list is an empty page of the recommender "
                "and stays in every denominator. Violations are items dropped (unknown, repeated, "
                "excluded) and lists that were short."
            ),
            Tabled(table("Pages over all runs, by what became of their list", headings, rows)),
        ),
    )


def costs(content: Content) -> Section:
    if content.board is None:
        return Section("costs", "Costs", ())
    thinking = [(row.recommender, row.thinking) for row in content.board.rows if row.thinking]
    if not thinking:
        return Section(
            "costs", "Costs", (Text("No user had a language model: no call was paid for."),)
        )
    rows = [
        (
            name, f"{one.calls_paid:,}", figure(one.calls_per_user_round, 3),
            NOTHING if one.tokens is None else f"{one.tokens:,}",
            figure(one.tokens_per_user_round, 1), _money(one.cost, one.currency, 2),
            _money(one.cost_per_user_round, one.currency, 6),
            share(one.failed / one.decisions if one.decisions else None),
        )
        for name, one in thinking
    ]  # fmt: skip
    headings = (
        "recommender", "paid calls", "a user-round", "tokens", "a user-round", "cost",
        "a user-round", "on a default",
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
