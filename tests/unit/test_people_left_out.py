"""Rounds of users whom people played are in no figure unless asked for, and readers are told so."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from recarena.evaluation.leaderboard.board import build
from recarena.evaluation.leaderboard.command import leaderboard_command
from recarena.evaluation.metrics.measures import METRICS
from recarena.evaluation.metrics.trajectories import TRAJECTORIES, by_round
from recarena.evaluation.metrics.users import (
    retention,
    satisfaction,
    watch_rate,
    watches_per_user_round,
)
from recarena.evaluation.report.content import content_of
from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.steered import left_out, remarks
from recarena.evaluation.runs.steering import Change, ChangeKind, Steering
from recarena.evaluation.runs.twins import twins
from recarena.evaluation.stimuli.exposures import Exposures
from recarena.evaluation.stimuli.past import Past
from support.run_logs import Row, event, page, write_run

USERS, ROUNDS, ITEMS = 12, 5, 8
PLAYED = {(2, 3), (3, 3), (4, 3), (3, 7), (5, 7)}
"""(round, user) that people played."""


def change(round: int, kind: ChangeKind, user: int = -1, item: int = -1, **values: object) -> Row:
    text = json.dumps({"number": 1, **values})
    return event(
        -1, Kind.INTERVENTION, round=round, code=int(kind), other=user, item=item, text=text
    )


STEERED = (
    change(2, ChangeKind.TAKE_OVER, 3, turn_time_s=60.0),
    change(3, ChangeKind.TAKE_OVER, 7, turn_time_s=60.0),
    change(4, ChangeKind.HAND_BACK, 7),
    change(5, ChangeKind.HAND_BACK, 3),
    change(5, ChangeKind.TAKE_OVER, 7, turn_time_s=60.0),
)


@cache
def doings() -> tuple[Row, ...]:
    """What users did, by a fixed draw; whom a person played watches everything."""
    rng = np.random.default_rng(4)
    rows: list[Row] = []
    for round in range(1, ROUNDS + 1):
        for user in range(USERS):
            if rng.random() < 0.3 and (round, user) not in PLAYED:
                rows.append(event(user, Kind.IDLE, round=round))
                continue
            shown = rng.choice(ITEMS, 4, replace=False).tolist()
            rated = {item: float(rng.integers(1, 5)) for item in shown if rng.random() < 0.4}
            if (round, user) in PLAYED:
                rated = dict.fromkeys(shown, 5.0)
            rows.append(event(user, Kind.ENTER_RECOMMENDER, round=round))
            rows += page(user, shown, rated, round=round)
            rows.append(event(user, Kind.LEAVE, round=round, step=0))
    return tuple(rows)


@cache
def written(steered: bool = True) -> Path:
    """The run, with its interventions or without."""
    rows = [*(STEERED if steered else ()), *doings()]
    return write_run(
        Path(mkdtemp()) / "run", rows, arm_of_user=["a"] * USERS, rounds=ROUNDS,
        popularity=range(1, ITEMS + 1),
    )  # fmt: skip


def counted() -> list[Row]:
    return [row for row in doings() if (row["round"], row["user"]) not in PLAYED]


def of_kind(rows: list[Row], kind: Kind) -> Iterator[Row]:
    return (row for row in rows if row["kind"] == kind)


# ------------------------------------------------------------------------------ the figures
def test_who_was_played_when_follows_from_the_rows_of_interventions():
    steering = RunLog.open(written()).steering
    found = set(zip(steering.round.tolist(), steering.user.tolist(), strict=True))
    assert found == PLAYED


def test_a_user_taken_over_and_handed_back_before_one_round_is_played_in_none():
    both = [Change(2, ChangeKind.TAKE_OVER, 1, -1, {}), Change(2, ChangeKind.HAND_BACK, 1, -1, {})]
    assert len(Steering.of(both, 5).user) == 0
    assert Steering.of(both[:1], 5).round.tolist() == [2, 3, 4, 5]


def test_user_metrics_are_those_of_the_rounds_that_users_lived_themselves():
    log, rows = RunLog.open(written()), counted()
    shown, watched = defaultdict[int, int](int), defaultdict[int, int](int)
    for row in of_kind(rows, Kind.SHOWN):
        shown[int(str(row["user"]))] += 1
    watches = list(of_kind(rows, Kind.WATCH))
    for row in watches:
        watched[int(str(row["user"]))] += 1
    assert watch_rate(log) == pytest.approx(
        np.mean([watched[user] / shown[user] for user in shown])
    )
    lives = USERS * ROUNDS - len(PLAYED)
    assert watches_per_user_round(log) == pytest.approx(len(watches) / lives)
    assert satisfaction(log) == pytest.approx(np.mean([row["value"] for row in watches]))
    there = {(row["round"], row["user"]) for row in of_kind(rows, Kind.ENTER_RECOMMENDER)}
    might = [
        (round, user)
        for round, user in there
        if int(str(round)) < ROUNDS and (int(str(round)) + 1, user) not in PLAYED
    ]
    back = [(round, user) for round, user in might if (int(str(round)) + 1, user) in there]
    assert retention(log) == pytest.approx(len(back) / len(might))


def test_user_rounds_that_people_played_are_missing_in_their_own_arm_alone(tmp_path: Path):
    rows, arms = [*STEERED, *doings()], ["a"] * 6 + ["b"] * 6  # user 3 in one, 7 in the other
    log = RunLog.open(write_run(tmp_path / "run", rows, arm_of_user=arms, rounds=ROUNDS))
    assert left_out(log, "a").tolist() == [0, 1, 1, 1, 0]
    assert left_out(log, "b").tolist() == [0, 0, 1, 0, 1]
    assert left_out(log).tolist() == [0, 1, 2, 1, 1]
    watched = [row["user"] for row in of_kind(counted(), Kind.WATCH)]
    for arm, users, played in (("a", range(6), 3), ("b", range(6, 12), 2)):
        watches = sum(user in users for user in watched)
        assert watches_per_user_round(log, arm) == pytest.approx(watches / (6 * ROUNDS - played))


def test_courses_over_the_rounds_leave_out_the_same():
    log = RunLog.open(written())
    watches = list(of_kind(counted(), Kind.WATCH))
    lives = [USERS - sum(one == round for one, _ in PLAYED) for round in range(1, ROUNDS + 1)]
    counts = [sum(row["round"] == round for row in watches) for round in range(1, ROUNDS + 1)]
    found = by_round(log, None, "watches_per_user_round")
    np.testing.assert_allclose(found, np.array(counts) / np.array(lives))
    there = {(row["round"], row["user"]) for row in of_kind(counted(), Kind.ENTER_RECOMMENDER)}
    for round in range(2, ROUNDS + 1):
        might = [u for at, u in there if at == round - 1 and (round, u) not in PLAYED]
        back = [u for u in might if (round, u) in there]
        assert by_round(log, None, "retention")[round - 1] == pytest.approx(len(back) / len(might))


def test_with_people_every_figure_is_that_of_a_run_that_nobody_steered():
    steered = RunLog.open(written(), with_people=True)
    plain = RunLog.open(written(steered=False))
    for metric in METRICS:
        np.testing.assert_equal(
            metric.measure(steered, "a"), metric.measure(plain, "a"), err_msg=metric.name
        )
    for name in TRAJECTORIES:
        np.testing.assert_array_equal(
            by_round(steered, "a", name), by_round(plain, "a", name), err_msg=name
        )


def test_people_change_every_figure_of_what_users_do():
    """The example tells: a reader that forgot to leave people out would be seen."""
    without, plain = RunLog.open(written()), RunLog.open(written(steered=False))
    for measure in (watch_rate, watches_per_user_round, satisfaction, retention):
        assert measure(without) != measure(plain), measure.__name__


def test_what_had_happened_is_known_of_everybody():
    log = RunLog.open(written())
    assert len(log.logged) == len(doings()) + len(STEERED)
    assert (log.events.user >= 0).all()
    pairs = zip(log.events.round.tolist(), log.events.user.tolist(), strict=True)
    assert not PLAYED & set(pairs)


def test_a_post_that_was_put_into_a_users_mouth_is_nobodys_doing(tmp_path: Path):
    said = change(1, ChangeKind.INJECT_POST, 0, 2, text="see this", sentiment=2.0)
    own = event(0, Kind.POST, item=1, value=1.0)
    injected = event(0, Kind.POST, item=2, position=0, value=2.0, text="see this")
    path = write_run(tmp_path / "run", [said, event(0, Kind.ENTER_SOCIAL), own, injected])
    for with_people in (False, True):
        posts = RunLog.open(path, with_people=with_people).events.of(Kind.POST)
        assert posts.item.tolist() == [1]


def test_items_that_were_added_are_items_of_the_run(tmp_path: Path):
    values = {
        "item": {
            "item_id": "solaris", "title": "Solaris", "categories": ["Drama"],
            "attributes": {"year": 1972, "director": "Tarkovsky"}, "description": "A sea.",
        },
        "quality": 1.0,
    }  # fmt: skip
    added = change(1, ChangeKind.ADD_ITEM) | {
        "item": 4,
        "text": json.dumps({"number": 1, **values}),
    }
    path = write_run(tmp_path / "run", [added, *page(0, [4, 1], {4: 5.0})])
    log = RunLog.open(path)
    assert (log.item_ids[4], log.titles[4], log.popularity[4]) == ("solaris", "Solaris", 0.0)
    assert len(log.p_train) == 5
    for metric in METRICS:
        metric.measure(log, "a")
    assert any("round 1: item added (Solaris)" in one for one in remarks([log]))


def test_explanations_that_people_saw_are_not_judged_but_what_they_watched_is_past():
    explained = [
        row | {"code": 1, "text": "for you"} if row["kind"] == Kind.SHOWN else row
        for row in doings()
    ]
    path = write_run(
        Path(mkdtemp()) / "run", [*STEERED, *explained], arm_of_user=["a"] * USERS, rounds=ROUNDS,
        popularity=[0] * ITEMS,
    )  # fmt: skip
    log, everybody = RunLog.open(path), RunLog.open(path, with_people=True)
    found, whole = Exposures.of(log), Exposures.of(everybody)
    assert set(found.texts) == {"for you"}
    pairs = list(zip(whole.round.tolist(), whole.user.tolist(), strict=True))
    kept = [at for at, pair in enumerate(pairs) if pair not in PLAYED]
    assert 0 < len(kept) < len(pairs)
    for name in ("round", "user", "item", "position", "watched", "new"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[kept], name)
    watches = list(of_kind(list(doings()), Kind.WATCH))
    past = Past.of(log)
    for item in range(ITEMS):
        before = [row for row in watches if row["item"] == item and int(str(row["round"])) < 5]
        assert past.watches(item, 5) == len(before)


# ------------------------------------------------------------------------------ what is said
def test_readers_are_told_what_is_left_out_and_that_the_run_is_no_plain_one():
    log = RunLog.open(written())
    assert remarks([log]) == [
        "5 user-rounds played by people are left out of all figures of what users do.",
        "Run run had interventions, so that it is no plain run of its seed and compares with "
        "others only as far as these do not matter: round 2: user taken over by a person (u3); "
        "round 3: user taken over by a person (u7); round 4: user handed back (u7); round 5: user "
        "handed back (u3); round 5: user taken over by a person (u7).",
    ]
    kept = remarks([RunLog.open(written(), with_people=True)])
    assert kept[0] == "5 user-rounds played by people are in the figures."
    assert remarks([RunLog.open(written(steered=False))]) == []
    assert set(remarks([log])) <= set(build([log]).warnings)


def test_the_report_and_the_leaderboard_leave_people_out_and_say_so():
    plain = content_of(written())
    assert plain.board is not None
    assert "5 user-rounds played by people are left out" in " ".join(plain.board.warnings)
    with_people = content_of(written(), with_people=True)
    assert with_people.board is not None
    rates = {
        board.rows[0].intervals["watch_rate"].mean for board in (plain.board, with_people.board)
    }
    assert rates == {
        watch_rate(RunLog.open(written())), watch_rate(RunLog.open(written(), with_people=True))
    }  # fmt: skip
    app = typer.Typer()
    app.command()(leaderboard_command)
    for options, said in (((), "are left out"), (("--with-people",), "are in the figures")):
        shown = CliRunner().invoke(app, [str(written()), *options])
        assert shown.exit_code == 0, shown.output
        assert f"5 user-rounds played by people {said}" in " ".join(shown.output.split())


def test_runs_that_differ_in_what_people_did_are_no_twins():
    rows = list(doings())
    at = next(n for n, row in enumerate(rows) if (row["round"], row["user"]) in PLAYED)
    other = [*rows[:at], rows[at] | {"value": 1.0}, *rows[at + 1 :]]
    logs = [
        RunLog.open(
            write_run(Path(mkdtemp()) / name, [*STEERED, *each], arm_of_user=["a"] * USERS,
                      arms={"a": name}, rounds=ROUNDS, popularity=range(ITEMS))
        )
        for name, each in (("one", rows), ("two", rows), ("three", other))
    ]  # fmt: skip
    assert twins(logs) == (("one", "two"),)
