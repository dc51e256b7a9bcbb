"""Run logs made in memory whose pages come with explanations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.run_log import Arm, RunLog
from recarena.evaluation.stimuli.triples import Triple, Words
from support.made_logs import made_log
from support.run_logs import Row, page

SHOWN, WITHHELD = 1, 2
GENRES = (("Comedy",), ("Comedy", "Drama"), ("War",), ("Drama",), ("Western",))
"""Of the five items of a log, unless it has others."""
TITLES = ("Alpha (1994)", "Beta Blues", "Gamma, The (1987)", "War Games", "Epsilon")


def explained_page(
    user: int,
    told: Mapping[int, str | None],
    watched: Mapping[int, float] | None = None,
    *,
    evidence: Mapping[int, Sequence[tuple[str, str]]] | None = None,
    withheld: Sequence[int] = (),
    **where: Any,
) -> list[Row]:
    """A page of items, each with its explanation or none."""
    rows = page(user, list(told), dict(watched or {}), **where)
    for row in rows:
        item = int(str(row["item"]))
        if row["kind"] == Kind.SHOWN and told[item] is not None:
            row["code"] = WITHHELD if item in withheld else SHOWN
            row["text"] = told[item]
            pieces = (evidence or {}).get(item)
            row["evidence"] = json.dumps([list(one) for one in pieces]) if pieces else None
    return rows


def explained_log(
    rows: Sequence[Row],
    *,
    run_id: str = "r",
    recommenders: Sequence[str] = ("a",),
    titles: Sequence[str] = TITLES,
    genres: Sequence[Sequence[str]] = GENRES,
    years: Sequence[int] = (),
    quality: Sequence[float] = (),
    ties: Sequence[tuple[int, int]] | None = None,
    evidence: bool = True,
    **more: Any,
) -> RunLog:
    """A log of these rows in memory. `recommenders` in turn serve the users; `quality` is the
    truth's."""
    users = len(more.pop("users", "ab"))
    more.setdefault("popularity", [4.0] * len(titles))
    arms = [recommenders[user % len(recommenders)] for user in range(users)]
    log = made_log(rows, genres=genres, arm_of_user=arms, **more)
    numbers = pa.array(range(len(titles)), pa.int32())
    last = [int(str(row["round"])) for row in rows]
    columns: dict[str, Any] = {
        "seq": pa.array([last[:at].count(round) for at, round in enumerate(last)], pa.int32()),
        "round": pa.array(last, pa.int32()),
        "code": pa.array([row["code"] for row in rows], pa.int16()),
        "text": pa.array([row["text"] for row in rows], pa.string()),
        "evidence": pa.array([row.get("evidence") for row in rows], pa.string()),
    }
    if not evidence:
        del columns["evidence"]
    tables: dict[str, pa.Table] = {"events": pa.table(columns)}
    if years:
        tables["items"] = pa.table({"number": numbers, "year": pa.array(years, pa.int32())})
    if ties is not None:
        tables["relations"] = pa.table({
            "user": pa.array([one for one, _ in ties], pa.int32()),
            "other": pa.array([other for _, other in ties], pa.int32()),
        })  # fmt: skip
    if len(quality):
        none = pa.array([[] for _ in titles], pa.list_(pa.float32()))
        tables["truth"] = pa.table({
            "number": numbers, "quality": pa.array(quality, pa.float32()), "factors": none,
        })  # fmt: skip
        tables["users"] = pa.table({
            "number": pa.array(range(users), pa.int32()),
            "taste": pa.array([[] for _ in range(users)], pa.list_(pa.float32())),
            "mean_rating": pa.array([3.0] * users, pa.float32()),
        })  # fmt: skip

    def read(name: str, columns: Sequence[str]) -> Any:
        if name == "items" and "quality" in columns:
            name = "truth"
        table = tables.get(name)
        if table is not None and set(columns) <= set(table.column_names):
            return table.select(list(columns))
        return log.read(name, columns) if _has(log, name, columns) else None

    return replace(
        log,
        manifest={**log.manifest, "run_id": run_id},
        titles=list(titles),
        arms=tuple(Arm(one, one) for one in dict.fromkeys(arms)),
        read=read,
    )


def _has(log: RunLog, name: str, columns: Sequence[str]) -> bool:
    table = log.read(name, columns)
    return table is not None and set(columns) <= set(table.column_names)


def many_users(
    users: int, items: int = 5, rounds: int = 1, run_id: str = "r", **more: Any
) -> RunLog:
    """Every user is shown every item in every round, each with words of its own."""
    rows = [
        row
        for round in range(1, rounds + 1)
        for user in range(users)
        for row in explained_page(
            user, {item: f"Words {run_id} {user} {item}." for item in range(items)}, round=round
        )
    ]
    return explained_log(rows, run_id=run_id, users="u" * users, rounds=rounds, **more)


def a_triple(number: int = 1, text: str = "Because of its genre: Comedy.", **fields: Any) -> Triple:
    """A triple about user u0 and item i1 of run r in round 2."""
    values: dict[str, Any] = {
        "id": f"t{number:04}", "run_id": "r", "recommender": "a", "user_id": "u0", "item_id": "i1",
        "round": 2, "step": 1, "position": 3,
        "explanation": Words(text, (("feature", "genre=Comedy"),), "template", "en"),
        "world": "w", **fields,
    }  # fmt: skip
    return Triple(**values)


def numbers(log: RunLog, triple: Triple) -> tuple[int, int]:
    """(user, item) of a triple."""
    return list(log.user_ids).index(triple.user_id), list(log.item_ids).index(triple.item_id)
