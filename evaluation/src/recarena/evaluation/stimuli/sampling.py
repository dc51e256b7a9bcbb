"""Which triples a study is about: drawn from what users were really shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, cast

import numpy as np

from recarena.evaluation.runs.events import Bools, EventKind
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.stimuli.exposures import Exposures
from recarena.evaluation.stimuli.keyed import drawn
from recarena.evaluation.stimuli.triples import Triple

PER_USER = 4
"""Most triples of one user and recommender: users are the units, so that more of them count for
more than more triples of the same ones."""
EXTRA = 0.25
"""Further triples with bad items, for each triple."""
LEAST = 5
"""Fewest triples of a recommender that make a sample."""
RATINGS = 5
"""Fewest ratings from which an item's mean is told."""
BAD_SHARE = 0.25
MADE_UP = ("generated", "planted")
"""Sources of worlds whose hidden columns are the truth."""


class BadSample(Exception):
    """There is nothing to sample from, or too little; the text is one line with the remedy."""


class Known(StrEnum):
    """By what items are known to be bad."""

    TRUTH = "truth"
    """The quality that they have in a world that was made up or planted."""
    ESTIMATE = "estimate"
    """The quality that was estimated when the world was imported."""
    RATINGS = "ratings"
    """What they were rated, before the run and in it."""
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """Triples, and what was to be had."""

    triples: Sequence[Triple]
    """Those that everything is asked about, then the extra ones with bad items."""
    bad_by: Mapping[str, Known]
    """Run -> how its bad items are known."""
    offered: Mapping[str, int]
    """Recommender -> explained exposures from which it was drawn."""
    short: Mapping[str, int]
    """Recommender -> triples that were wanted and are not there; without those that have all."""


def sample(
    runs: Sequence[RunLog], count: int, seed: int, *, per_user: int = PER_USER,
    extra: float = EXTRA, least: int = LEAST,
) -> Sample:  # fmt: skip
    """`count` triples, as many of each recommender, and `extra` times as many further ones whose
    items are bad.

    From feeds, of items that the user had not watched before, each user, item and recommender at
    most once. Users come in an order that the seed decides, one triple of each before the second
    of any; recommenders of one world share that order, and the order of items, so that their
    explanations can be compared. Neither the order of the runs nor the count changes which come
    first. BadSample names what is missing.
    """
    if not runs:
        raise BadSample("no run to sample from. Name a run folder")
    if count < 1:
        raise BadSample(f"{count} triples cannot be asked about: ask for 1 or more")
    names = [log.run_id for log in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadSample(f"two runs are called {twice[0]}. Name each run once")
    of: dict[str, dict[tuple[str, str], list[Triple]]] = {}
    for log in runs:
        own = _candidates(log, seed)
        if not own:
            raise BadSample(_why_none(log))
        for one in own:
            key = (one.world, one.user_id)
            of.setdefault(one.recommender, {}).setdefault(key, []).append(one)
    for users in of.values():
        for triples in users.values():
            triples.sort(key=lambda one: _rank(one, seed))
    names = sorted(of)
    main = _drawn(of, names, count, seed, per_user, "t", least)
    taken = {_key(one) for one in main}
    left = {
        name: {
            user: bad
            for user, triples in users.items()
            if (bad := [one for one in triples if one.bad and _key(one) not in taken])
        }
        for name, users in of.items()
    }
    more = _drawn(left, names, round(count * extra), seed, per_user, "b", 0)
    got = {name: sum(one.recommender == name for one in main) for name in names}
    wanted = dict(zip(names, _quotas(count, len(names)), strict=True))
    return Sample(
        [*main, *more],
        {log.run_id: bad_items(log)[0] for log in runs},
        {name: sum(map(len, of[name].values())) for name in names},
        {name: wanted[name] - got[name] for name in names if got[name] < wanted[name]},
    )


def bad_items(log: RunLog) -> tuple[Known, Bools]:
    """By what they are known, and [items] whether one is in the lowest quarter: of the world's own
    quality where the folder has it, else of mean ratings, of which an item needs RATINGS."""
    none = np.zeros(len(log.item_ids), np.bool_)
    if log.truth is not None:
        known = Known.TRUTH if _source(log) in MADE_UP else Known.ESTIMATE
        return known, _lowest(log.truth.quality.astype(np.float64))
    watches = log.events.of(EventKind.WATCH)
    item = np.concatenate([log.history.item, watches.item])
    rating = np.concatenate([log.history.rating, watches.value]).astype(np.float64)
    rated = rating > 0
    counts = np.bincount(item[rated], minlength=len(none))
    sums = np.bincount(item[rated], rating[rated], minlength=len(none))
    told = counts >= RATINGS
    if not told.any():
        return Known.NOTHING, none
    return Known.RATINGS, _lowest(np.where(told, sums / np.maximum(counts, 1), np.nan))


def _lowest(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Bools:
    """The lowest quarter of what is known, unless that is no lower than the middle."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values), np.bool_)
    low, middle = np.quantile(known, [BAD_SHARE, 0.5])
    return (values <= low) & (values < middle)


def world_of(log: RunLog) -> str:
    """What mirrored runs have in common: the world and the seed."""
    return f"{log.world}#{log.seed}"


def _candidates(log: RunLog, seed: int) -> list[Triple]:
    """All that can be sampled of a run, without ids; of a user and an item the first time alone."""
    exposures, (_, bad), world = Exposures.of(log), bad_items(log), world_of(log)
    arm = log.arm_of_user[exposures.user]
    spoken = np.array([bool(text.strip()) for text in exposures.texts], np.bool_)
    rows = np.flatnonzero(exposures.feed & exposures.new & (arm >= 0) & spoken)
    pairs = exposures.user[rows].astype(np.int64) * len(log.item_ids) + exposures.item[rows]
    rows = rows[np.sort(np.unique(pairs, return_index=True)[1])]
    return [
        Triple(
            id="", run_id=log.run_id, recommender=log.arms[int(arm[row])].recommender,
            user_id=log.user_ids[int(exposures.user[row])],
            item_id=log.item_ids[int(exposures.item[row])],
            round=int(exposures.round[row]), step=int(exposures.step[row]),
            position=int(exposures.position[row]), explanation=exposures.words(row),
            bad=bool(bad[exposures.item[row]]), world=world,
        )
        for row in rows.tolist()
    ]  # fmt: skip


def _rank(triple: Triple, seed: int) -> tuple[int, str]:
    """Where it comes among those of its user: the same for all recommenders."""
    return drawn(seed, "item", triple.world, triple.user_id, triple.item_id), triple.run_id


def _drawn(
    of: Mapping[str, Mapping[tuple[str, str], Sequence[Triple]]], names: Sequence[str],
    count: int, seed: int, per_user: int, letter: str, least: int,
) -> list[Triple]:  # fmt: skip
    """As many of each recommender, numbered in turn, so that a larger sample begins with a smaller
    one."""
    found: list[tuple[int, Triple]] = []
    for place, (name, quota) in enumerate(zip(names, _quotas(count, len(names)), strict=True)):
        own = list(_in_turn(of[name], seed, per_user))[:quota]
        if len(own) < min(least, quota):
            users = len({(one.world, one.user_id) for one in own})
            raise BadSample(
                f"{name}: {len(own)} explained exposures of {users} users can be asked about, "
                f"{min(least, quota)} are needed. Play longer, or with more users"
            )
        found += [(at * len(names) + place + 1, one) for at, one in enumerate(own)]
    found.sort(key=lambda pair: pair[0])
    return [replace(one, id=f"{letter}{at:04}", extra=letter == "b") for at, one in found]


def _in_turn(
    users: Mapping[tuple[str, str], Sequence[Triple]], seed: int, per_user: int
) -> Iterator[Triple]:
    """One of each user, then a second of each, up to `per_user`."""
    order = sorted(users, key=lambda user: drawn(seed, "user", *user))
    for turn in range(per_user):
        for user in order:
            if turn < len(users[user]):
                yield users[user][turn]


def _quotas(count: int, parts: int) -> list[int]:
    return [count // parts + (at < count % parts) for at in range(parts)]


def _key(triple: Triple) -> tuple[str, str, str]:
    return triple.run_id, triple.user_id, triple.item_id


def _why_none(log: RunLog) -> str:
    exposures = Exposures.of(log)
    if not len(exposures) and _asked_for(log):
        return (
            f"{log.path}: explanations were asked for, and none came from "
            f"{', '.join(arm.recommender for arm in log.arms)}. Let the recommender say that it "
            "can explain, and send some"
        )
    if not len(exposures):
        return (
            f"{log.path} was played without explanations; play it with --explanations, or let "
            f"explain play its world: --world WORLD --recommender {log.arms[0].recommender}"
        )
    if not any(text.strip() for text in exposures.texts):
        return (
            f"{log.path}: none of the {len(exposures)} explanations of "
            f"{', '.join(arm.recommender for arm in log.arms)} has words. Let the recommender fill "
            "their text"
        )
    return (
        f"{log.path}: of {len(exposures)} explained exposures none is of a feed and of an item "
        "that was new to the user. Play longer, or with more users"
    )


def _source(log: RunLog) -> str:
    """Where the world came from."""
    dataset: Any = log.manifest.get("dataset")
    origin: Any = dataset.get("origin") if isinstance(dataset, Mapping) else None
    return str(origin.get("source", "")) if isinstance(origin, Mapping) else ""


def _asked_for(log: RunLog) -> bool:
    """Whether the run's settings ask any arm for explanations."""
    settings: Any = log.manifest.get("settings")
    arms: Any = settings.get("arms") if isinstance(settings, dict) else None
    return isinstance(arms, list) and any(
        isinstance(arm, dict) and bool(cast("Any", arm).get("explanations"))
        for arm in cast("list[Any]", arms)
    )
