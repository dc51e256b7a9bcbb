"""The spillover of two recommenders, checked by hand on worlds of four users."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from recarena.evaluation.competing.spillover import spillovers
from recarena.evaluation.runs.run_log import Arm, RunLog
from support.run_logs import quick_log


def alone(name: str, watched: Sequence[int], seed: int) -> RunLog:
    """Each user is shown four items and watches so many of them."""
    return quick_log(name, watched, seed=seed)


def shared(
    watched: Sequence[int], arms: Sequence[int], seed: int, by: str = "users", names: str = "ab"
) -> RunLog:
    log = quick_log("a", watched, seed=seed)
    return replace(
        log,
        arms=tuple(Arm(f"arm-{name}", name) for name in names),
        arm_of_user=np.array(arms, np.int16),
        manifest={**log.manifest, "assignment": {"by": by, "ties_within_arms": 0.5 + seed / 100}},
    )


def test_the_parts_of_an_estimate_by_hand():
    # World 1: a shows users 4 3 2 1 of 4, b 1 1 0 0: (10 - 2) / 16 = 0.5. In the shared world the
    # first and last have a: 4 and 1 against b's 2 and 1: (5 - 3) / 8 = 0.25.
    # The same users alone: a's 4 and 1, b's 1 and 0: (5 - 1) / 8 = 0.5.
    # World 2: (12 - 4) / 16 = 0.5; a's 3 and 3 against b's 2 and 2: 0.25; alone 6 - 2: 0.5.
    mirrored = [
        alone("a", [4, 3, 2, 1], 1), alone("b", [1, 1, 0, 0], 1),
        alone("a", [3, 3, 3, 3], 2), alone("b", [1, 1, 1, 1], 2),
    ]  # fmt: skip
    split = [shared([4, 2, 1, 1], [0, 1, 1, 0], 1), shared([3, 3, 2, 2], [0, 0, 1, 1], 2)]
    (one,) = spillovers(mirrored, split)
    assert (one.a, one.b, one.metric, one.unit) == ("a", "b", "watch_rate", "users")
    assert one.mirrored.mean == 0.5
    assert one.split.mean == 0.25
    assert one.plain.mean == 0.25
    assert one.adjusted.mean == 0.25
    assert list(one.by_world.values()) == [0.25, 0.25]
    assert one.recovered.mean == 0.5
    assert one.ties_within_arms == pytest.approx(0.515)
    assert one.shown
    assert one.sentence.startswith("The user split recovers 50% ")


def test_who_is_in_which_arm_is_not_taken_for_spillover():
    # Nobody does anything else for sharing a world, but the keener users are in arm a.
    mirrored = [alone("a", [4, 4, 2, 2], 1), alone("b", [3, 3, 1, 1], 1)]
    (one,) = spillovers(mirrored, [shared([4, 4, 1, 1], [0, 0, 1, 1], 1)])
    assert one.mirrored.mean == 0.25
    assert one.split.mean == 0.75
    assert one.plain.mean == -0.5
    assert one.adjusted.mean == 0.25
    assert one.spillover.mean == 0.0
    assert one.recovered.mean == 1.0
    assert "one world cannot tell spillover from chance" in one.sentence


def test_three_recommenders_make_three_pairs_and_each_way_of_drawing_its_own():
    names = "abc"
    mirrored = [alone(name, [2, 2, 1, 1, 3, 3], seed) for name in names for seed in (1, 2)]
    split = [
        shared([2, 2, 1, 1, 3, 3], [0, 0, 1, 1, 2, 2], seed, by, names)
        for by in ("users", "clusters")
        for seed in (1, 2)
    ]
    found = spillovers(mirrored, split, ("watch_rate", "satisfaction"))
    assert len({(one.a, one.b, one.metric, one.unit) for one in found}) == len(found) == 12
    assert not any(one.shown for one in found)
    assert {one.metric for one in found if one.user_level} == {"watch_rate"}


def test_among_three_pairs_a_spillover_has_to_be_clearer_than_alone():
    # Users of a watch 1, 1, 3 and 2 items of eight more for sharing the world: t = 3.66, p = .035.
    more = [(1, 0), (0, 1), (2, 1), (1, 1)]

    def told(names: str) -> list[bool]:
        users = 2 * len(names)
        arms = np.repeat(range(len(names)), 2).tolist()
        mirrored = [alone(name, [2] * users, seed) for name in names for seed in range(4)]
        split = [
            shared([2 + one for one in x] + [2] * (users - 2), arms, seed, names=names)
            for seed, x in enumerate(more)
        ]
        return [one.shown for one in spillovers(mirrored, split)]

    assert told("ab") == [True]
    assert told("abc") == [False, False, False]


def test_worlds_that_only_one_design_has_played_are_left_out():
    mirrored = [alone("a", [1, 2], 1), alone("b", [1, 1], 1), alone("a", [1, 2], 2)]
    split = [shared([1, 2], [0, 1], seed) for seed in (1, 2, 3)]
    longer = replace(shared([1, 2], [0, 1], 1), rounds=2)
    (one,) = spillovers(mirrored, [*split, longer])
    assert one.spillover.worlds == 1
    assert spillovers(mirrored[1:], split) == []
    assert spillovers([], []) == []


def test_a_split_that_exaggerates_is_said_to():
    mirrored = [alone("a", [2, 2, 2, 2], s) for s in (1, 2, 3)]
    mirrored += [alone("b", [1, 1, 1, 1], s) for s in (1, 2, 3)]
    split = [shared([3, 3, 0, 0], [0, 0, 1, 1], s) for s in (1, 2, 3)]
    (one,) = spillovers(mirrored, split)
    assert one.spillover.mean == -0.5
    assert "more than there is" in one.sentence
    # The other way round it is the same finding.
    (other,) = spillovers(mirrored[::-1], [replace(log, arms=log.arms[::-1],
                          arm_of_user=1 - log.arm_of_user) for log in split])  # fmt: skip
    assert (other.a, other.b) == ("b", "a")
    assert other.sentence == one.sentence


def test_a_record_is_json_without_numbers_that_are_none():
    mirrored = [alone("a", [1, 2], 1), alone("b", [1, 1], 1)]
    (one,) = spillovers(mirrored, [shared([1, 1], [0, 1], 1)])
    told = json.loads(json.dumps(one.as_json(), allow_nan=False))
    assert told["spillover"] == {"mean": 0.0, "low": None, "high": None}
    assert told["worlds"] == 1
    assert told["unit"] == "users"
    assert told["user_level"] is None
    assert told["sentence"] == one.sentence


def test_a_metric_that_is_none_is_refused():
    with pytest.raises(KeyError, match="charm"):
        spillovers([alone("a", [1, 2], 1), alone("b", [1, 1], 1)],
                   [shared([1, 2], [0, 1], 1)], ("charm",))  # fmt: skip
