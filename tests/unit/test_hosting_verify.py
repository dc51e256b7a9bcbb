"""What was revealed, and the runs beside it, are held against the commitment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.competing.manifest import folder_sha256
from recarena.evaluation.hosting.commitment import Secret, settings_of
from recarena.evaluation.hosting.config import load
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.verify import verify
from recarena.evaluation.hosting.worlds import hidden_recipes

SECRET = Secret("1" * 64, "2" * 64)


class Published:
    """A folder as a season with one recommender leaves it, but for what was played."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        toml = folder / "competition.toml"
        toml.write_text('name = "Cup"\nseason = "s1"\n[worlds]\nhidden = 2\nrounds = 3\n')
        competition = load(toml)
        settings = settings_of(competition)
        recipes = hidden_recipes("s1", competition.worlds, None, SECRET)
        worlds: list[dict[str, Any]] = []
        for one in recipes:
            place = folder / "worlds" / one.name
            place.mkdir(parents=True)
            (place / "world.json").write_text(str(one.seed))
            sha256 = folder_sha256(place)
            worlds.append({"seed": one.seed, "run_seed": one.run_seed, "sha256": sha256})
            self.write(
                f"runs/w{one.number}-alice/manifest.json",
                {"seed": one.run_seed, "rounds": 3, "settings": competition.run_settings},
            )
        self.commitment = SECRET.commitment(settings)
        self.write("reveal.json", {
            "format": "recarena-reveal", "format_version": 1, "seed": SECRET.seed,
            "salt": SECRET.salt, "settings": settings, "hidden_worlds": worlds, "code_version": "1",
        })  # fmt: skip
        self.write("manifest.json", {
            "primary": "watch_rate", "minimum_effect": None, "recommenders": [{"name": "alice"}],
            "settings": competition.run_settings,
            "worlds": [{"seed": one["run_seed"], "sha256": one["sha256"]} for one in worlds],
        })  # fmt: skip

    def write(self, name: str, value: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))

    def change(self, name: str, how: Callable[[Any], Any]) -> None:
        value = json.loads((self.folder / name).read_text())
        self.write(name, how(value) or value)

    async def failures(self) -> list[str]:
        checks = verify(self.folder / "reveal.json", self.commitment, None, False)
        return [f"{one.what}: {one.text}" async for one in checks if not one.fine]


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path)


async def test_what_was_played_as_it_was_committed_to_is_fine(published):
    assert await published.failures() == []


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("reveal.json", lambda it: it["hidden_worlds"][1].update(run_seed=5),
         "seeds of world 1: they do not follow"),
        ("manifest.json", lambda it: it.update(primary="satisfaction"), "another primary"),
        ("manifest.json", lambda it: it["worlds"][0].update(seed=1), "other worlds"),
        ("manifest.json", lambda it: it.pop("worlds") and None, "lacks what every manifest has"),
        ("worlds/hidden-1/world.json", lambda _: "another", "worlds/hidden-1 is not the world"),
        ("runs/w1-alice/manifest.json", lambda it: it.update(seed=1), "runs/w1-alice has another"),
        ("runs/w0-alice/manifest.json", lambda it: it.update(rounds=9), "w0-alice has another"),
        ("runs/w0-alice/manifest.json", lambda it: it["settings"].update(visits={}),
         "other settings than manifest.json"),
    ],
)  # fmt: skip
async def test_what_is_other_than_it_was_committed_to_is_named(published, name, how, says):
    published.change(name, how)
    assert says in (await published.failures())[0]


async def test_settings_of_all_runs_are_those_that_were_committed_to(published):
    for name in ("manifest.json", *(f"runs/w{world}-alice/manifest.json" for world in (0, 1))):
        published.change(name, lambda it: it["settings"]["session"].update(work_timeout_s=1))
    (failure,) = await published.failures()
    assert "another session.work_timeout_s than was committed to" in failure


async def test_nothing_is_believed_where_the_commitment_is_another(published):
    published.change("reveal.json", lambda it: it["settings"]["worlds"].update(rounds=4))
    (failure,) = await published.failures()
    assert failure.startswith("commitment: ")


@pytest.mark.parametrize(
    "how",
    [
        lambda _: [1],
        lambda it: it.update(settings=3),
        lambda it: it["settings"].update(worlds=3),
        lambda it: it["settings"]["worlds"].update(hidden=10**9),
        lambda it: it["settings"]["worlds"].update(kind="--help"),
        lambda it: it["settings"]["worlds"].update(kind="folder"),
        lambda it: it["settings"]["worlds"].update(users="x"),
        lambda it: it.pop("hidden_worlds") and None,
        lambda it: it["hidden_worlds"].pop() and None,
        lambda it: it["hidden_worlds"][0].pop("sha256") and None,
        lambda it: it.update(seed="x"),
    ],
)
async def test_what_is_no_reveal_is_said_in_a_line(published, how):
    published.change("reveal.json", how)
    with pytest.raises(BadCompetition, match=r"reveal\.json"):
        await published.failures()
