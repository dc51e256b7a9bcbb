"""Settings: defaults, and what is said of wrong ones."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.server.config import NAME, Settings, parse_settings, read_toml
from recarena.server.errors import InputError
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.types import FailurePolicy
from recarena.server.world import Dynamics

ONE = {"arms": [{"recommender": "ease"}]}


def refused(values: dict[str, Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        parse_settings({**ONE, **values}, "run.toml")
    assert str(caught.value).startswith("run.toml: ")
    assert "\n" not in str(caught.value)
    return caught.value


def test_one_recommender_is_all_that_must_be_said():
    made = parse_settings(ONE, "test")
    (arm,) = made.arms
    assert (arm.id, arm.recommender, arm.weight) == ("ease", "ease", 1)
    assert arm.policy is FailurePolicy.EMPTY_LIST
    assert (made.seed, made.rounds) == (1, 10)
    assert made.coefficients() == Coefficients()
    assert made.world_dynamics() == Dynamics()


def test_settings_are_frozen():
    made = parse_settings(ONE, "test")
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        made.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"sed": 1}, "sed", "did you mean 'seed'?"),
        ({"visits": {"page_sise": 5}}, "visits.page_sise", "did you mean 'page_size'?"),
        ({"session": {"clok": 1}}, "session.clok", "did you mean 'clock'?"),
        ({"xyzzy": 1}, "xyzzy", "known are activation, arms, assignment"),
        ({"arms": [{"recommender": "a", "wieght": 2}]}, "arms.0.wieght", "did you mean 'weight'?"),
        ({"arms": []}, "arms", "at least 1"),
        ({"arms": [{}]}, "arms.0.recommender", "missing"),
        ({"arms": [{"id": "x"}]}, "arms.0.recommender", "missing"),
        ({"arms": "ease"}, "arms", "tuple"),
        ({"arms": [{"recommender": "a", "weight": 0}]}, "arms.0.weight", "greater"),
        (
            {"arms": [{"recommender": "a", "failure_policy": "shrug"}]},
            "arms.0.failure_policy", "'empty_list'",
        ),
        ({"seed": -1}, "seed", "greater"),
        ({"seed": 2**63}, "seed", "less"),
        ({"rounds": 0}, "rounds", "greater"),
        ({"rounds": 2.5}, "rounds", "integer"),
        ({"visits": {"page_size": 51}}, "visits.page_size", "less"),
        ({"visits": {"repeats": "often"}}, "visits.repeats", "'allow' or 'forbid'"),
        ({"visits": 3}, "visits", "VisitSettings"),
        ({"activation": {"policy": "some"}}, "activation.policy", "'bernoulli'"),
        ({"activation": {"rate": 1.5}}, "activation.rate", "less"),
        ({"time": {"interval_hours": 0}}, "time.interval_hours", "greater"),
        ({"execution": {"cohort_size": 0}}, "execution.cohort_size", "greater"),
        ({"session": {"open_profile": ["age", "shoe"]}}, "session", "'shoe' is none of age"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_what_is_wrong(values, field, says):
    error = refused(values)
    assert [path for path, _ in error.fields] == [field]
    assert field in str(error)
    assert says in str(error)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"choice": {"tast": 1.0}}, "choice.tast is not known; did you mean 'taste'?"),
        ({"choice": {"foresight": 1.5}}, "choice.foresight: 1.5 is not in 0..1"),
        (
            {"arms": [{"recommender": "a", "explanation_share": 0.5}]},
            "explanation_share needs explanations = true",
        ),
        (
            {"arms": [{"recommender": "a", "explanations": True, "explanation_share": 1.5}]},
            "arms.0.explanation_share",
        ),
        ({"dynamics": {"drft": 1.0}}, "dynamics.drft is not known; did you mean 'drift'?"),
        ({"arms": [{"recommender": "a"}] * 2}, "the id 'a' is there twice"),
        (
            {"arms": [{"recommender": "a", "id": "x"}, {"recommender": "a", "id": "y"}]},
            "the recommender 'a' is there twice",
        ),
    ],
)
def test_settings_must_fit_together(values, says):
    assert says in str(refused(values))


def test_all_that_is_wrong_is_said_at_once():
    error = refused({"seed": -1, "rounds": 0, "visits": {"page_size": 0}})
    assert [path for path, _ in error.fields] == ["seed", "rounds", "visits.page_size"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("table", "key"),
    [("choice", "taste"), ("dynamics", "drift"), ("time", "interval_hours"),
     ("activation", "shape"), ("session", "ready_timeout_s")],
)  # fmt: skip
def test_a_number_that_is_none_is_refused(table, key, number):
    assert key in str(refused({table: {key: number}}))


@given(st.text(max_size=70))
def test_names_are_of_the_form_that_is_said(name):
    import re

    fits = bool(re.fullmatch(NAME, name))
    try:
        parse_settings({"arms": [{"recommender": name}]}, "test")
    except InputError:
        assert not fits
    else:
        assert fits


@given(
    seed=st.integers(0, 2**63 - 1),
    rounds=st.integers(1, 10**6),
    weights=st.lists(st.integers(1, 100), min_size=1, max_size=4),
    choice=st.dictionaries(
        st.sampled_from([*Coefficients.__dataclass_fields__]), st.floats(0, 1), max_size=3
    ),
    policy=st.sampled_from(["all", "bernoulli", "pareto", "marginal"]),
    start=st.datetimes(timezones=st.just(UTC)),
)  # fmt: skip
def test_settings_come_back_from_a_manifest_as_they_were(**values):
    arms = [{"recommender": f"r{n}", "weight": w} for n, w in enumerate(values.pop("weights"))]
    policy, start = values.pop("policy"), values.pop("start")
    made = parse_settings(
        {**values, "arms": arms, "activation": {"policy": policy}, "time": {"start": start}}, "test"
    )
    again = parse_settings(json.loads(json.dumps(made.model_dump(mode="json"))), "manifest")
    assert again == made


def test_rounds_have_their_simulated_time():
    time = parse_settings({**ONE, "time": {"interval_hours": 2.5}}, "test").time
    assert time.of_round(1) == datetime(2025, 1, 1, tzinfo=UTC)
    assert time.of_round(5) - time.of_round(1) == timedelta(hours=10)
    naive = parse_settings({**ONE, "time": {"start": "2026-03-04T00:00:00"}}, "test").time
    assert naive.of_round(1) == datetime(2026, 3, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arm", "session", "seconds"),
    [
        ({}, {}, 60), ({}, {"clock": "realtime"}, 2), ({}, {"work_timeout_s": 7}, 7),
        ({"work_timeout_s": 3}, {"work_timeout_s": 7, "clock": "realtime"}, 3),
    ],
)  # fmt: skip
def test_an_arm_s_own_time_for_a_work_goes_first(arm, session, seconds):
    made = parse_settings({"arms": [{"recommender": "a", **arm}], "session": session}, "test")
    assert made.session.work_timeout(made.arms[0]) == seconds


def test_coefficients_differ_where_the_settings_say_so():
    made = parse_settings({**ONE, "choice": {"taste": 2}, "dynamics": {"drift": 0}}, "test")
    assert made.coefficients() == Coefficients(taste=2)
    assert made.world_dynamics() == Dynamics(drift=0)


def test_the_documented_file_holds_every_key_with_its_default():
    docs = Path(__file__).parents[2] / "docs" / "configuration.md"
    block = docs.read_text().split("```toml\n")[1].split("```")[0]
    documented = tomllib.loads(block)
    made = parse_settings(documented, "docs").model_dump()
    plain = parse_settings(ONE, "test").model_dump()
    documented.pop("arms"), documented.pop("choice"), documented.pop("dynamics")
    for table, value in documented.items():
        assert made[table] == plain[table], table
        if isinstance(value, dict):
            for key in plain[table]:
                assert f"{key} = " in block, f"{table}.{key}"
    assert set(plain) - {"arms", "choice", "dynamics"} == set(documented)
    for key in Settings.model_fields["arms"].annotation.__args__[0].model_fields:
        assert f"{key} = " in block or key == "work_timeout_s"
    assert made["choice"] == {"taste": Coefficients().taste}
    assert made["dynamics"] == {"drift": Dynamics().drift}


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path):
    path = tmp_path / "run.toml"
    with pytest.raises(InputError, match=r"run\.toml: no such file"):
        read_toml(path)
    path.write_text("seed = 1\nrounds = = 2\n")
    with pytest.raises(InputError, match=r"run\.toml: not TOML: .*line 2"):
        read_toml(path)
    path.write_bytes(b"seed = 1 # \xff\n")
    with pytest.raises(InputError, match=r"run\.toml: not UTF-8"):
        read_toml(path)
    path.write_text("[[arms]]\nrecommender = 'ease'\n")
    assert parse_settings(read_toml(path), str(path)) == parse_settings(ONE, "test")
