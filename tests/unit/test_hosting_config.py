"""competition.toml: every mistake is refused with its place and the remedy."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from recarena.evaluation.hosting.config import is_loopback, load, write_template
from recarena.evaluation.hosting.settings import BadCompetition

TOP = 'name = "Cup"\nseason = "s1"\n'


def refused(folder: Path, text: str) -> str:
    file = folder / "competition.toml"
    file.write_text(text)
    with pytest.raises(BadCompetition) as error:
        load(file)
    assert str(error.value).startswith(str(file))
    return str(error.value).removeprefix(f"{file}: ")


def test_the_template_is_a_competition_and_names_every_setting(tmp_path):
    made = load(write_template(tmp_path))
    assert (made.season, made.folder) == ("season-1", tmp_path / "season-1")
    text = (tmp_path / "competition.toml").read_text()
    for table in (made.worlds, made.practice, made.gate, made.entrants):
        for name in table.__slots__:
            assert f"\n{name} = " in text or f"\n# {name} = " in text, name
    everything = "\n".join(
        line.removeprefix("# ") if line[:2] == "# " and " = " in line else line
        for line in text.splitlines()
    )
    assert {"minimum_effect", "folder"} <= set(tomllib.loads(everything))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TOP + "primry = 1", "primry is not known; did you mean primary?"),
        (TOP + "[worlds]\nhiden = 3", "worlds.hiden is not known; did you mean worlds.hidden?"),
        (TOP + "[worlds]\nusers = 0", "worlds.users is 0; write a whole number, at least 1"),
        (TOP + '[worlds]\nusers = "many"', "worlds.users is 'many'; write a whole number"),
        (TOP + "[worlds]\nusers = true", "worlds.users is True; write a whole number"),
        (TOP + '[worlds]\ntitles = "number"', 'write one of keep, numbers; did you mean "numbers"'),
        (TOP + '[worlds]\nkind = "nwe"', 'write "new", "planted" or the folder of a world'),
        (TOP + "[entrants]\ntime_budget_s = 0", "time_budget_s is 0; write a number above"),
        (TOP + "[entrants]\nwork_timeout_s = nan", "work_timeout_s is nan; write a number"),
        (TOP + "[gate]\nmax_unusable_rate = 2", "gate.max_unusable_rate is 2; write a number from"),
        (TOP + '[serve]\nlisten = "here"', "serve.listen is 'here'; write \"HOST:PORT\""),
        (TOP + '[serve]\ntls_cert = "a.pem"', "serve.tls_key are given together"),
        (TOP + '[serve]\nhttp = "0.0.0.0:80"', "which can be reached from outside"),
        (TOP + 'primary = "watchrate"', "primary is 'watchrate'"),
        (TOP + 'primary = "searches_per_visit"', "primary is 'searches_per_visit'"),
        (TOP + "[settings]\nseed = 3", "settings.seed is decided by the competition itself"),
        (TOP + "[settings]\nsession = 3", "settings.session is no table; write it as a table"),
        (TOP + 'baselines = ["a", "a"]', "an entry is there twice"),
        (TOP + 'worlds = "many"', "worlds is 'many'; write it as a table"),
        ('name = "Cup"', "season is missing; say what it is"),
        ('name = "Cup"\nseason = "S 1"', "season is 'S 1'; write 1 to 32 of a-z"),
        ("name = ", "not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path, text, says):
    assert says in refused(tmp_path, text)


def test_a_file_that_is_not_there_is_said_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(BadCompetition, match="make one with recarena competition new FOLDER"):
        load(tmp_path / "competition.toml")


def test_off_loopback_is_allowed_where_somebody_says_so(tmp_path):
    file = tmp_path / "competition.toml"
    file.write_text(TOP + '[serve]\nhttp = "0.0.0.0:80"\ninsecure = true')
    assert load(file).serve.http == "0.0.0.0:80"


def test_the_deadline_of_entrants_is_that_of_the_runs_unless_the_settings_say_another(tmp_path):
    file = tmp_path / "competition.toml"
    file.write_text(TOP + "[entrants]\nwork_timeout_s = 3\n[settings]\nvisits = {page_size = 4}")
    assert load(file).run_settings == {
        "visits": {"page_size": 4}, "session": {"work_timeout_s": 3.0},
    }  # fmt: skip
    file.write_text(TOP + "[settings]\nsession = {work_timeout_s = 2}")
    assert load(file).run_settings["session"] == {"work_timeout_s": 2}


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.0.0.1:1", True), ("127.8.8.8:1", True), ("localhost:1", True), ("[::1]:1", True),
     ("0.0.0.0:1", False), ("[::]:1", False), ("arena.example:1", False), ("10.0.0.1:1", False)],
)  # fmt: skip
def test_loopback_is_what_others_cannot_reach(address, here):
    assert is_loopback(address) is here
