"""What `recarena compete` refuses before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from recarena.evaluation.competing.manifest import manifest_of, write_manifest
from recarena.evaluation.competing.plan import Plan, worlds_of
from recarena.evaluation.conducting.command import command
from recarena.evaluation.playing.contenders import contender

app = typer.Typer(rich_markup_mode=None)
app.command()(command)
FRESH = ("new:users=20", "-r", "ease", "-r", "popular")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((*FRESH, "--pilot", "."), "--minimum-effect X"),
        (
            (*FRESH, "--pilot", "nope", "--minimum-effect", "0.1"),
            "--pilot: there is no folder nope",
        ),
        ((*FRESH, "--split", "clusters"), "--split clusters goes with --design split or both"),
        (("new:users=20", "-r", "eese"), "Did you mean ease?"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    words: tuple[str, ...], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, words)
    assert (ended.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert problem in " ".join(ended.output.split())


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rounds", "20"), ("--seed", "1"), ("--primary", "watch_rate"), ("--max-p95-ms", "9")],
)
def test_with_resume_what_the_manifest_decides_is_not_decided_again(
    option: str, value: str, tmp_path: Path
):
    run = {
        "seed": 1, "rounds": 2, "arms": [], "mind": {"kind": "choice"},
        "settings": {"seed": 1, "rounds": 2, "arms": []},
    }  # fmt: skip
    plan = Plan("n", (contender("ease"),), worlds_of(["new:users=20"], 1, 1), 2)
    write_manifest(tmp_path, manifest_of(plan, run))
    ended = CliRunner().invoke(app, ("--resume", str(tmp_path), option, value))
    assert ended.exit_code == 1
    assert f"{option} is decided already" in ended.output
