"""The commitment binds seed, salt and settings; everything hidden follows from the seed."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.evaluation.hosting.commitment import (
    Secret,
    canonical,
    keep_secret,
    read_secret,
    settings_of,
)
from recarena.evaluation.hosting.config import Competition, Worlds, load
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.worlds import hidden_recipes, practice_recipes

SECRET = Secret("ab" * 32, "cd" * 32)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
SETTINGS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


def competition(folder: Path, more: str = "") -> Competition:
    file = folder / "competition.toml"
    file.write_text(f'name = "Cup"\nseason = "s1"\n{more}')
    return load(file)


def test_the_commitment_is_the_documented_digest():
    text = (
        f"recarena-commitment 1\nseed {'ab' * 32}\nsalt {'cd' * 32}\n"
        + 'settings {"a":1,"b":"é"}\n'
    )
    wanted = hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert SECRET.commitment({"b": "é", "a": 1}) == wanted


@given(HEX, HEX, SETTINGS, SETTINGS)
def test_another_seed_salt_or_settings_is_another_commitment(other, salt, some, others):
    one = SECRET.commitment(some)
    assert (SECRET.commitment(others) == one) is (canonical(some) == canonical(others))
    assert (replace(SECRET, seed=other).commitment(some) == one) is (other == SECRET.seed)
    assert (replace(SECRET, salt=salt).commitment(some) == one) is (salt == SECRET.salt)


@given(SETTINGS)
def test_settings_are_one_line(settings):
    assert "\n" not in canonical(settings)


def test_a_seed_of_a_world_is_the_documented_one():
    words = f"recarena-season 1\n{'ab' * 32}\ns1\ndisguise 3\n"
    bits = bin(int.from_bytes(hashlib.sha256(words.encode()).digest(), "big"))[2:].zfill(256)
    assert SECRET.number("s1", "disguise", 3) == int(bits[:59], 2) < 10**18


def test_worlds_seasons_and_purposes_have_seeds_of_their_own():
    recipes = [
        *hidden_recipes("s1", Worlds(hidden=5), None, SECRET),
        *hidden_recipes("s2", Worlds(hidden=5), None, SECRET),
    ]
    seeds = [number for one in recipes for number in (one.seed, one.run_seed)]
    assert len({*seeds, *(one.source for one in recipes)}) == 3 * len(recipes)


def test_worlds_are_disguises_of_what_the_file_says(tmp_path):
    (one,) = hidden_recipes("s1", Worlds("planted", 1, 30, 3, 60, "numbers"), None, SECRET)
    seed = SECRET.number("s1", "world", 0)
    assert one.source == f"planted:users=30,items=60,seed={seed}"
    assert one.words("out")[-2:] == ["--titles", "numbers"]
    (folder,) = hidden_recipes("s1", Worlds("x", 1), tmp_path, SECRET)
    assert (folder.source, folder.seed) == (str(tmp_path), SECRET.number("s1", "disguise", 0))
    public = practice_recipes(competition(tmp_path, "[practice]\nworlds = 2\nseed = 5"))
    assert [one.command.split()[3:7] for one in public] == [
        ["new:users=200,seed=5", "practice-0", "--seed", "5"],
        ["new:users=200,seed=6", "practice-1", "--seed", "6"],
    ]


@pytest.mark.parametrize(
    ("more", "binds"),
    [
        ("[worlds]\nusers = 201", True),
        ("[worlds]\nhidden = 6", True),
        ("[settings]\nvisits = {page_size = 9}", True),
        ("[gate]\nmax_p95_ms = 9", True),
        ("[entrants]\ntime_budget_s = 9", True),
        ('primary = "satisfaction"', True),
        ('ranked = "best"', True),
        ("minimum_effect = 0.01", True),
        ('description = "another"', False),
        ("[entrants]\nat_once = 7", False),
        ('[serve]\nhttp = "127.0.0.1:9"', False),
    ],
)
def test_the_commitment_binds_what_decides_a_result_and_nothing_else(tmp_path, more, binds):
    usual, other = (settings_of(competition(tmp_path, text)) for text in ("", more))
    assert (SECRET.commitment(usual) != SECRET.commitment(other)) is binds


def test_the_secret_is_drawn_once_and_nobody_else_may_read_it(tmp_path):
    drawn = keep_secret(tmp_path)
    assert keep_secret(tmp_path) == read_secret(tmp_path) == drawn
    assert drawn.seed != drawn.salt
    file = tmp_path / "secret.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    with pytest.raises(BadCompetition, match="others may read"):
        keep_secret(tmp_path)
    file.chmod(0o600)
    file.write_text('{"seed": "12"}')
    with pytest.raises(BadCompetition, match="64 hexadecimal digits"):
        read_secret(tmp_path)
