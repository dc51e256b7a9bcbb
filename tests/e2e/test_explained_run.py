"""`recarena run --explanations`: reasons from the reference recommenders, to the end of the log."""

from __future__ import annotations

from pathlib import Path

from recarena.server.evidence import read
from recarena.server.store.run_folder import RunFolder
from recarena.server.types import EventColumns, EventKind, Explained
from support.commands import recarena

WORLD = "new:users=40,seed=7,history=6"
HALF = """
[[arms]]
recommender = "content"
command = "recarena-recommender content --server {server}"
explanations = true
explanation_share = 0.5

[[arms]]
recommender = "popular"
command = "recarena-recommender popular --server {server}"
"""


def shown(folder: Path) -> EventColumns:
    run = RunFolder.open(folder)
    events = EventColumns.concat([one for one, _ in run.rounds(1, run.last_round)])
    return events.of(EventKind.SHOWN)


async def test_a_run_with_explanations_tells_of_them_and_plays_again(tmp_path):
    (tmp_path / "half.toml").write_text(HALF, "utf-8")
    ran = await recarena(
        "run", WORLD, "--config", "half.toml", "--explanations", "--rounds", "2", "--name", "r",
        cwd=tmp_path,
    )  # fmt: skip
    assert "explanations withheld" in ran.went_well().out
    log = shown(tmp_path / "runs" / "r")
    assert set(log.code.tolist()) == {Explained.NONE, Explained.SHOWN, Explained.WITHHELD}
    # The option asks the recommenders of all arms; the share is that of the one arm.
    methods = {
        reference
        for pieces in log.evidence.values()
        for kind, reference in read(pieces)
        if kind == "method"
    }
    assert len(methods) == 2
    again = await recarena("digest", "runs/r", "--verify", "--replay", cwd=tmp_path)
    assert "each comes out as it was" in again.went_well().err
    told = await recarena("log", "runs/r", "--kind", "shown", cwd=tmp_path)
    assert "The recommender says: “" in told.went_well().out
    assert ", without its explanation." in told.out


async def test_a_share_without_explanations_is_refused_with_what_to_do(tmp_path):
    settings = HALF.replace("explanations = true\n", "")
    (tmp_path / "half.toml").write_text(settings, "utf-8")
    ran = await recarena("run", WORLD, "--config", "half.toml", cwd=tmp_path)
    assert ran.code != 0
    assert "half.toml" in ran.err
    assert "explanation_share needs explanations = true" in ran.err
    assert not (tmp_path / "runs").exists()
