"""A run as static files that open from disk: everything that the page asks for, written down.

`index.html` loads `data/manifest.js` and one classic script. The manifest holds what is always
needed, and the names of the files that hold the rest; the page loads them when it needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from shutil import copytree, ignore_patterns, rmtree
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.datastructures import QueryParams

from recarena.observatory.app import STATIC
from recarena.observatory.arms import Arms
from recarena.observatory.chronicle import Chronicle
from recarena.observatory.columns import Kind
from recarena.observatory.failures import Failure
from recarena.observatory.feed import lines_of
from recarena.observatory.frames import busiest
from recarena.observatory.joining import joined
from recarena.observatory.library import Library
from recarena.observatory.messages import Json
from recarena.observatory.persons import Person
from recarena.observatory.tales import Filter, Tales
from recarena.observatory.upstream import Upstream
from recarena.observatory.worlds import Worlds

SCRIPT = "static/page.js"
MODULE = '<script type="module" src="/static/js/main.js"></script>'
ROUNDS_A_FILE = 50
USERS_A_FILE = 20
LINES = 60
LINES_IN_ALL = 12_000
"""Of the feeds of all rounds; a run with many rounds has fewer a round."""
MOST_EVENTS = 5_000
"""The newest; those without anything that happened are left out where there are more."""
USERS_IN_FULL = 300
"""Users with memory and timeline: those who watched most."""
MOST_MEMORIES = 60


class CannotExport(Exception):
    """The bundle cannot be written. One line of text."""


@dataclass(slots=True)
class Contents:
    """What a bundle holds, and what it leaves out."""

    folder: Path
    rounds: int = 0
    users_in_full: int = 0
    left_out: list[str] = field(default_factory=list[str])
    bytes: int = 0

    def as_json(self) -> Json:
        """For the page and for programs."""
        return {
            "rounds": self.rounds,
            "users_in_full": self.users_in_full,
            "left_out": self.left_out,
        }


class Bundle:
    """Writes one run into a folder that is empty."""

    def __init__(self, upstream: Upstream, run_id: str, folder: Path) -> None:
        self._upstream, self._run_id, self._folder = upstream, run_id, folder
        self._at = f"/api/runs/{component(run_id)}"
        self._always: dict[str, Any] = {}
        self._files: dict[str, str] = {}
        self._contents = Contents(folder)

    async def write(self, progress: Callable[[str], None]) -> Contents:
        """All of it. CannotExport, Failure."""
        chronicle = await Library(self._upstream).read(self._run_id)
        self._contents.rounds = chronicle.round
        (self._folder / "data").mkdir()
        progress("page")
        self._write_page()
        progress("world and rounds")
        await self._write_rounds(chronicle)
        progress("events")
        await self._write_events(chronicle)
        progress("users")
        await self._write_users(chronicle)
        self._write_manifest(chronicle)
        self._contents.bytes = sum(
            one.stat().st_size for one in self._folder.rglob("*") if one.is_file()
        )
        return self._contents

    # ------------------------------------------------------------------ the page

    def _write_page(self) -> None:
        copytree(STATIC, self._folder / "static",
                 ignore=ignore_patterns("*.js", "index.html"), dirs_exist_ok=True)  # fmt: skip
        page = (STATIC / "index.html").read_text("utf-8")
        if MODULE not in page:
            raise CannotExport(f"index.html does not load {MODULE}")
        scripts = "".join(
            f'<script src="{name}" defer></script>\n' for name in ("data/manifest.js", SCRIPT)
        )
        page = page.replace(MODULE, scripts.strip())
        theme = "js/theme.js"
        if f'<script src="/static/{theme}">' in page:
            (self._folder / "static/js").mkdir(exist_ok=True)
            (self._folder / "static" / theme).write_text((STATIC / theme).read_text("utf-8"))
        page = page.replace('="/static/', '="static/')
        if '"/' in page:
            raise CannotExport("index.html names a place that a file:// page does not have")
        (self._folder / "index.html").write_text(page, "utf-8")
        (self._folder / SCRIPT).write_text(joined(STATIC, "js/main.js"), "utf-8")

    # ------------------------------------------------------------------ the run

    async def _write_rounds(self, chronicle: Chronicle) -> None:
        run = chronicle.run_json() | {"folder": ""}
        self._always |= {
            "/api/runs": {"runs": [run]},
            self._at: run,
            f"{self._at}/rounds": {
                "epoch": chronicle.epoch,
                "rounds": chronicle.rounds,
                "interventions": chronicle.interventions,
            },
            f"{self._at}/interventions": {"interventions": chronicle.interventions},
            f"{self._at}/arms": await Arms(self._upstream).at(
                chronicle, chronicle.round, with_people=False
            ),
        }
        world = await Worlds(self._upstream).world(chronicle)
        self._write_file("world", {f"{self._at}/world": json.loads(world.body)})
        lines = min(LINES, LINES_IN_ALL // max(chronicle.round, 1))
        if lines < LINES:
            self._contents.left_out.append(f"all but {lines} lines of what users did in a round")
        for first in range(0, chronicle.round + 1, ROUNDS_A_FILE):
            held: dict[str, Any] = {}
            for round in range(first, min(first + ROUNDS_A_FILE, chronicle.round + 1)):
                held[f"{self._at}/at/{round}"] = chronicle.keyframe(round)
                told: list[Json] = []
                if round and lines:
                    events = await chronicle.events_of(round)
                    users = busiest(events, chronicle.actions(round), lines).tolist()
                    told = await lines_of(self._upstream, chronicle, round, users)
                held[f"{self._at}/feed/{round}"] = {"lines": told}
            self._write_file(f"rounds-{first}", held)
        self._contents.left_out.append("standings of arms before the last round")

    async def _write_events(self, chronicle: Chronicle) -> None:
        rounds = range(chronicle.round + 1)
        there = np.sum([chronicle.census.of(round) for round in rounds], axis=0)
        total, quiet = int(there[1:].sum()), int(there[[Kind.IDLE, Kind.SHOWN]].sum())
        query = "" if total <= MOST_EVENTS else (
            "enter_recommender,enter_social,page,watch,next,search,leave,chat,post,converse,"
            "intervention"
        )  # fmt: skip
        only = Filter.of(QueryParams({"action": query}), chronicle)
        tales = Tales(self._upstream, chronicle, only)
        found: list[Json] = []
        cursor: tuple[int, int] | None = None
        while len(found) < MOST_EVENTS:
            page, after = await tales.page(
                chronicle.round, cursor, None, min(200, MOST_EVENTS - len(found))
            )
            found.extend(page)
            if not after:
                break
            round, sequence = after.split(".")
            cursor = int(round), int(sequence)
        counts = await tales.counts(chronicle.round)
        if len(found) < total - quiet:
            self._contents.left_out.append(
                f"all but the newest {len(found):,} of {total:,} events, filters over the others, "
                "and pages item by item"
            )
        value = {
            "events": found, "counts": counts, "total": len(found), "next": "",
            "at": chronicle.round,
        }  # fmt: skip
        self._write_file("events", {f"{self._at}/events": value})

    async def _write_users(self, chronicle: Chronicle) -> None:
        users = len(chronicle.roster)
        watched = chronicle.watched(chronicle.round).astype(np.int64)
        order = np.lexsort((np.arange(users), -watched))
        chosen = set(order[:USERS_IN_FULL].tolist())
        if users > len(chosen):
            self._contents.left_out.append(
                f"all but profiles and ties of {users - len(chosen):,} of {users:,} users: those "
                "who watched least have no memory and timeline here"
            )
        self._contents.users_in_full = len(chosen)
        shortened = False
        for first in range(0, users, USERS_A_FILE):
            held: dict[str, Any] = {}
            for number in range(first, min(first + USERS_A_FILE, users)):
                user_id = chronicle.roster.users[number].user_id
                person = Person(self._upstream, chronicle, user_id)
                at = f"{self._at}/u/{component(user_id)}"
                held[at] = await person.about()
                memories, timeline = [], {"rounds": [], "next": ""}
                if number in chosen:
                    memories = (await person.memories())["memories"]
                    timeline = await person.timeline(chronicle.round, "")
                shortened |= len(memories) > MOST_MEMORIES or bool(timeline["next"])
                held[f"{at}/memories"] = {"memories": memories[:MOST_MEMORIES]}
                held[f"{at}/timeline"] = timeline | {"next": ""}
                held[f"{at}/calls"] = {"calls": []}
            self._write_file(f"users-{first}", held)
        if shortened:
            self._contents.left_out.append(
                f"memories of a user beyond the newest {MOST_MEMORIES}, and rounds of its timeline "
                "beyond the newest 20"
            )
        self._contents.left_out.append("calls to language models, and items")

    # ------------------------------------------------------------------ files

    def _write_manifest(self, chronicle: Chronicle) -> None:
        self._always["/api/me"] = {
            "role": "observer", "read_only": True, "server": "", "bundle": True,
            "version": version("recarena-observatory"), "stale_after_s": 5,
        }  # fmt: skip
        about = {"run": chronicle.run.run_id, **self._contents.as_json()}
        lines = [
            f"window.RECARENA_BUNDLE = {_script(about)};",
            f"window.RECARENA_DATA = {_script({**self._always, 'files': self._files})};",
            "",
        ]
        (self._folder / "data/manifest.js").write_text("\n".join(lines), "utf-8")

    def _write_file(self, name: str, held: dict[str, Any]) -> None:
        path = f"data/{name}.js"
        text = f"Object.assign(window.RECARENA_DATA, {_script(held)});\n"
        (self._folder / path).write_text(text, "utf-8")
        self._files |= dict.fromkeys(held, path)


def component(text: str) -> str:
    """A part of a path as `encodeURIComponent` writes it."""
    return quote(text, safe="!'()*-._~")


def _script(value: Any) -> str:
    """JSON as JavaScript, which may stand in any page: no tag, no line separator."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for one in ("<", "\u2028", "\u2029"):
        text = text.replace(one, f"\\u{ord(one):04x}")
    return text


@contextmanager
def _whole_or_nothing(folder: Path) -> Generator[Path]:
    """A new folder, what is in which is in `folder` at the end; nothing is where that fails."""
    there = folder.exists()
    if there and any(folder.iterdir()):
        raise CannotExport(f"--bundle: {folder} is not empty: take a folder that is")
    # A folder that is there stays the one it is: it may be a mount, or where somebody stands.
    workshop = (folder if there else folder.parent) / f".{folder.name}-{token_hex(4)}.part"
    workshop.mkdir(parents=True)
    try:
        yield workshop
        if there:
            for one in list(workshop.iterdir()):
                one.rename(folder / one.name)
            workshop.rmdir()
        else:
            workshop.rename(folder)
    finally:
        rmtree(workshop, ignore_errors=True)


async def export(
    upstream: Upstream, run_id: str, folder: Path, progress: Callable[[str], None]
) -> Contents:
    """Writes a bundle into a folder that is empty or not there; all of it or nothing, also where it
    is interrupted. CannotExport."""
    try:
        with _whole_or_nothing(folder) as workshop:
            contents = await Bundle(upstream, run_id, workshop).write(progress)
        contents.folder = folder
        return contents
    except Failure as failure:
        raise CannotExport(failure.message) from None
    except OSError as error:
        raise CannotExport(f"--bundle: {folder} cannot be written: {error.strerror}") from None
