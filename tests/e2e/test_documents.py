"""What the README and the guides show is there and works."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from recarena.recommenders import cli as recommenders
from recarena.server.cli import app
from support.commands import PROGRAM, Ended, recarena, started

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SKIPPED = {"node_modules", "build", "dist"}
GUIDES = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not any(part.startswith(".") or part in SKIPPED for part in path.relative_to(ROOT).parts)
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(recarena(?:-recommender)? [a-z].*)")
ELLIPSES = {"…", "..."}


def shown_in(path: Path) -> list[str]:
    """Command lines in the shell blocks and the `code` of a document."""
    text = path.read_text("utf-8")
    blocks = [block for language, block in FENCED.findall(text) if language in ("", "sh", "text")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    # What a program prints may speak of commands, too; a command begins its line.
    found = [line.strip() for line in lines if COMMAND.match(line.strip())]
    found += [
        code for code in re.findall(r"`([^`\n]+)`", FENCED.sub("", text)) if COMMAND.match(code)
    ]
    return found


LINES = list(dict.fromkeys(
    (str(path.relative_to(ROOT)), line) for path in GUIDES for line in shown_in(path)
))  # fmt: skip


def words_of(line: str) -> list[str]:
    return [word for word in shlex.split(line, comments=True) if word not in ELLIPSES]


def accepts(group: Any, words: list[str]) -> None:
    """Parses as the program would, without running anything; what is missing may be missing."""
    with group.make_context("recarena", [], resilient_parsing=True) as context:
        name, command, rest = group.resolve_command(context, words)
        if hasattr(command, "resolve_command"):
            accepts(command, rest)
            return
        options = {
            one for option in command.params for one in (*option.opts, *option.secondary_opts)
        }
        for word in rest:
            if word.startswith("-"):
                assert word.partition("=")[0] in options, f"{name} has no {word}"
        command.make_context(name, rest, parent=context, resilient_parsing=True)


def test_there_are_command_lines_to_look_at():
    assert len([line for path, line in LINES if path == "README.md"]) > 15
    assert {"README.md", "docs/configuration.md", "docs/serving.md"} <= {path for path, _ in LINES}


@pytest.mark.parametrize(("path", "line"), LINES, ids=[f"{path}: {line}" for path, line in LINES])
def test_every_command_line_is_one_that_the_program_knows(path: str, line: str):
    program, *words = words_of(line)
    if program == "recarena":
        accepts(typer.main.get_command(app), words)
    else:
        assert program == "recarena-recommender"
        known, unknown = recommenders.command().parse_known_args(words)
        assert unknown == []
        assert known.name is None or known.name in recommenders.ROSTER


def test_a_command_line_that_the_program_does_not_know_would_be_found():
    group = typer.main.get_command(app)
    for wrong in ("rum world", "run world --round 3", "world neww x", "digest runs/a --verifi"):
        with pytest.raises(Exception, match=r"(?i)no such command|has no"):
            accepts(group, wrong.split())


def test_every_command_is_in_the_readme():
    group: Any = typer.main.get_command(app)
    shown = " ".join(line for path, line in LINES if path == "README.md")
    for name, command in group.commands.items():
        for below in getattr(command, "commands", {"": None}):
            assert f"recarena {name} {below}".strip() in shown


@pytest.mark.parametrize("path", GUIDES, ids=[str(path.relative_to(ROOT)) for path in GUIDES])
def test_links_lead_somewhere(path: Path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text("utf-8"))
    missing = [
        link
        for link in links
        if "://" not in link
        and not link.startswith("mailto:")
        and not (path.parent / link).exists()
    ]
    assert missing == []


# ------------------------------------------------------------------------------ the README
def test_the_readme_shows_the_example_as_it_is():
    example = (ROOT / "clients" / "python" / "examples" / "twenty_lines.py").read_text()
    assert ("python", example) in FENCED.findall(README.read_text("utf-8"))
    assert len([line for line in example.splitlines() if line.strip()]) == 20


def first_of(path: Path, beginning: str) -> list[str]:
    """The words of the document's first command line that begins like this."""
    line = next(line for line in shown_in(path) if line.startswith(beginning))
    return words_of(line)[1:]


async def play(words: list[str], runs: Path) -> Ended:
    """A run of the README as it stands, in few rounds and into a folder of ours."""
    return await recarena(*words, "--rounds", 2, "--runs", runs, "--json", cwd=ROOT)


async def test_the_run_of_the_readme_plays_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words = first_of(README, "recarena run new:users=200,seed=7 ")
    assert any("twenty_lines.py {server}" in word for word in words)
    monkeypatch.setenv("PATH", f"{PROGRAM.parent}:/usr/bin:/bin")
    end = (await play(words, tmp_path)).went_well().values[-1]
    assert (end["state"], end["rounds"], end["error"]) == ("succeeded", 2, "")
    assert [arm["recommender"] for arm in end["arms"]] == ["popular", "ease"]
    for arm in end["arms"]:
        assert arm["failed_lists"] == 0
        assert arm["watch"] > 0


async def test_the_example_dials_in_from_outside_as_the_readme_says(tmp_path: Path):
    words = first_of(README, "recarena run new:users=200,seed=7 --remote")
    address = words.index("--listen") + 1
    words[address] = "127.0.0.1:0"
    async with started(
        *words, "--rounds", 2, "--runs", tmp_path, "--json", cwd=ROOT
    ) as live:  # fmt: skip
        serving = await live.event("serving")
        assert serving is not None
        assert serving["waiting_for"] == ["popular"]
        example = await asyncio.create_subprocess_exec(
            str(PROGRAM.with_name("python")), "clients/python/examples/twenty_lines.py",
            serving["address"], cwd=ROOT, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            end = (await live.ended()).went_well().values[-1]
        finally:
            example.terminate()
            _, said = await example.communicate()
    assert (end["state"], end["rounds"]) == ("succeeded", 2)
    assert b"Traceback" not in said
