"""What is wrong with the options of `recarena explain` is said before anything is started."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from recarena.evaluation.explaining.conduct import BadOrder, open_folder
from recarena.evaluation.explaining.judges import BadJudge
from recarena.evaluation.explaining.ordering import Wishes, order_of
from recarena.evaluation.playing.contenders import BadContender
from recarena.evaluation.questionnaires.reading import BadQuestionnaire

WORLD: dict[str, Any] = {"runs": (), "world": "new:users=20", "recommenders": ("content",)}


def wishes(folder: Path, **changed: Any) -> Wishes:
    given: dict[str, Any] = {
        "folder": folder / "study", "runs": (folder / "run",), "world": "", "recommenders": (),
        "remote": (), "listen": "127.0.0.1:0", "rounds": 3, "judges": ("choice",), "base_url": "",
        "config": None, "triples": 5, "questionnaire": "none", "texts": "template", "writer": "",
        "max_cost": None, "max_tokens": None, "seed": 1, "asked": {}, "environment": {},
    }  # fmt: skip
    return Wishes(**{**given, **changed})


def said(folder: Path, **changed: Any) -> str:
    with pytest.raises((BadOrder, BadJudge, BadContender)) as error:
        order_of(wishes(folder, **changed))
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("judges = 3", "[judges] is a table, not 3"),
        ("choice = 1", "[choice] is a table, not 1"),
        ("[judges]\nchoice = 1", '[judges."choice"] is a table, not 1'),
        ("[judges.choice]\nchoice = 1", '[judges."choice".choice] is a table, not 1'),
        ("[choise]\nx = 1", "[choise] is not known of judges; did you mean [choice]?"),
        ("[visits]\nx = 1", "all others are for --world"),
        ('[judges."choise".llm]\nx = 1', "did you mean 'choice'?"),
        ("[llm\n", "is not TOML"),
    ],
)
def test_what_a_settings_file_says_amiss_is_told_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "judges.toml"
    file.write_text(text, "utf-8")
    assert problem in said(tmp_path, config=file)


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert f"there is no file {tmp_path / 'no.toml'}" in said(tmp_path, config=tmp_path / "no.toml")


def test_other_tables_of_a_run_go_with_a_world_that_is_played(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        "seed = 3\nrounds = 9\n[visits]\nshare = 1\n[choice]\ncredulity = 2.0\n", "utf-8"
    )
    order = order_of(wishes(tmp_path, config=file, **WORLD))
    assert order.settings == {"visits": {"share": 1}, "choice": {"credulity": 2.0}}
    assert order.plans[0].judge.settings == {"choice": {"credulity": 2.0}}


@pytest.mark.parametrize(
    ("changed", "variable"),
    [
        ({"judges": ("anthropic:m",)}, "ANTHROPIC_API_KEY"),
        ({"judges": ("choice", "openai:m")}, "OPENAI_API_KEY"),
        ({"texts": "generated", "writer": "openai:m"}, "OPENAI_API_KEY"),
    ],
)
def test_a_key_that_is_missing_is_told_before_anything_is_started(
    tmp_path: Path, changed: dict[str, Any], variable: str
) -> None:
    assert f"the environment variable {variable} is not set" in said(tmp_path, **changed)
    assert f"{variable} is not set" in said(tmp_path, environment={variable: " , "}, **changed)
    order_of(wishes(tmp_path, environment={variable: "key"}, **changed))
    order_of(wishes(tmp_path, environment=None, **changed))


def test_a_key_is_looked_for_where_the_settings_say(tmp_path: Path) -> None:
    file = tmp_path / "judges.toml"
    file.write_text('[llm]\napi_key_env = ["MINE"]\n', "utf-8")
    assert "MINE is not set" in said(tmp_path, config=file, judges=("anthropic:m",))
    assert "MINE is not set" in said(
        tmp_path, config=file, judges=("anthropic:m",), environment={"ANTHROPIC_API_KEY": "k"}
    )
    order_of(wishes(tmp_path, config=file, judges=("anthropic:m",), environment={"MINE": "key"}))


def test_an_address_that_nobody_uses_or_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "no such model is asked" in said(tmp_path, base_url="http://localhost:1/v1")
    problem = said(tmp_path, base_url="localhost:1", judges=("openai-compatible:m",))
    assert "'localhost:1' is no address" in problem


def test_a_judge_that_is_nearly_one_is_guessed(tmp_path: Path) -> None:
    assert "did you mean choice?" in said(tmp_path, judges=("chioce",))
    assert "did you mean scripted:honest?" in said(tmp_path, judges=("scripted:honset",))
    assert "did you mean scripted:halo?" in said(tmp_path, judges=("halo",))
    assert "did you mean" not in said(tmp_path, judges=("scripted:mean",))


def test_who_names_a_study_in_place_of_its_runs_is_told_which_they_are(tmp_path: Path) -> None:
    run = tmp_path / "study" / "runs" / "content"
    run.mkdir(parents=True)
    (run / "manifest.json").touch()
    (tmp_path / "study" / "order.json").touch()
    problem = said(tmp_path, runs=(tmp_path / "study",))
    assert problem.endswith(f"is a study, not a run. Name its runs: {run}")


def test_an_empty_questionnaire_is_none_that_can_be_asked(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    with pytest.raises(BadQuestionnaire, match=r"empty\.toml"):
        order_of(wishes(tmp_path, questionnaire=str(tmp_path / "empty.toml")))


def test_dates_of_prices_go_over_the_wire(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    price = 'provider = "openai-compatible"\nmodel = "m"\neffective_from = 2025-01-31\n'
    file.write_text(f"[[llm.prices]]\n{price}", "utf-8")
    order = order_of(wishes(tmp_path, config=file, judges=("openai-compatible:m",)))
    message = order.plans[0].judge.message()
    (sent,) = MessageToDict(message.settings)["llm"]["prices"]
    assert sent["effective_from"] == "2025-01-31"


def test_caps_are_shared_by_all_language_models(tmp_path: Path) -> None:
    models = ("choice", "anthropic:a", "anthropic:b")
    order = order_of(wishes(
        tmp_path, judges=models, environment=None, texts="generated", writer="openai:c",
        max_cost=6.0, max_tokens=100,
    ))  # fmt: skip
    assert len(order.models) == 3
    for one in order.models:
        assert (one.settings["llm"]["max_cost"], one.settings["llm"]["max_tokens"]) == (2.0, 33)
    assert "--max-cost is for language models" in said(tmp_path, max_cost=1.0)
    assert "--max-tokens is for language models" in said(tmp_path, max_tokens=1)


def test_a_recommender_that_dials_in_is_part_of_the_order(tmp_path: Path) -> None:
    order = order_of(wishes(tmp_path, **{**WORLD, "recommenders": ()}, remote=("mine", "mine")))
    assert [(one.name, one.is_remote) for one in order.recommenders] == [("mine", True)]
    assert "two recommenders are called content" in said(tmp_path, **WORLD, remote=("content",))
    assert "--remote are for --world" in said(tmp_path, remote=("mine",))


def test_a_folder_of_which_nothing_came_yet_is_used_for_another_order(tmp_path: Path) -> None:
    """A slip of the pen in the first command does not cost the folder."""
    order = order_of(wishes(tmp_path, **{**WORLD, "world": "nwe:users=20"}))
    open_folder(order)
    os.symlink(tmp_path, order.folder / "runs" / "another", target_is_directory=True)
    right = order_of(wishes(tmp_path, **WORLD))
    open_folder(right)
    assert json.loads((right.folder / "order.json").read_text("utf-8"))["world"] == "new:users=20"
    assert not list((right.folder / "runs").iterdir())


@pytest.mark.parametrize("kept", ["study.json", "runs/content/manifest.json"])
def test_a_folder_with_a_study_or_a_run_is_kept_from_another_order(
    tmp_path: Path, kept: str
) -> None:
    order = order_of(wishes(tmp_path, **WORLD))
    open_folder(order)
    (order.folder / kept).parent.mkdir(exist_ok=True)
    (order.folder / kept).touch()
    open_folder(order)
    with pytest.raises(BadOrder, match="holds a study with other triples"):
        open_folder(order_of(wishes(tmp_path, **WORLD, triples=6)))


def test_a_file_is_no_folder_for_a_study(tmp_path: Path) -> None:
    (tmp_path / "study").touch()
    with pytest.raises(BadOrder, match="is a file"):
        open_folder(order_of(wishes(tmp_path, **WORLD)))


def test_what_people_saw_is_asked_about_only_where_it_is_wanted(tmp_path: Path):
    plain, wanted = (order_of(wishes(tmp_path, with_people=one, **WORLD)) for one in (False, True))
    assert (plain.with_people, wanted.with_people) == (False, True)
    assert plain.as_json() | {"with_people": True} == wanted.as_json() != plain.as_json()
