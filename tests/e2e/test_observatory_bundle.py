"""A run written down as files: all that the page asks for is in them, or said to be left out."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from recarena.observatory.bundle import component
from support.commands import Ended, recarena, started
from support.observatory.staged import Staged
from support.observing import observatory

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN = "/api/runs/finished"


class Written:
    """A bundle, read as the page reads it."""

    def __init__(self, folder: Path, ended: Ended, told: dict[str, Any]) -> None:
        self.folder, self.ended, self.told = folder, ended, told
        """`told`: what a page over the server is told, by path."""
        self._files: dict[str, dict[str, Any]] = {}
        first, second = (folder / "data/manifest.js").read_text("utf-8").splitlines()
        self.about = json.loads(first.removeprefix("window.RECARENA_BUNDLE = ").rstrip(";"))
        self.always = json.loads(second.removeprefix("window.RECARENA_DATA = ").rstrip(";"))

    def get(self, path: str) -> Any:
        if path in self.always:
            return self.always[path]
        return self.file(self.always["files"][path])[path]

    def file(self, name: str) -> dict[str, Any]:
        if name not in self._files:
            self._files[name] = self._read(name)
        return self._files[name]

    def _read(self, name: str) -> dict[str, Any]:
        text = (self.folder / name).read_text("utf-8")
        start = "Object.assign(window.RECARENA_DATA, "
        assert text.startswith(start)
        return json.loads(text[len(start) :].rstrip().removesuffix(");"))


PATHS = ("world", "rounds", "at/0", "at/7", "at/40", "feed/40", "u/{}", "u/{}/memories")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    room = tmp_path_factory.mktemp("bundle")
    server = Staged(users=30, ties=80)
    await server.open()
    try:
        words = ("observatory", "--server", server.address, "--json")
        ended = await recarena(*words, "--run", "finished", "--bundle", "page", cwd=room)
        async with observatory(server.address, cwd=room) as page:
            ids = (await page.get(f"{RUN}/world"))["ids"]
            paths = [f"{RUN}/{one.format(component(ids[3]))}" for one in PATHS]
            told = {path: await page.get(path) for path in paths}
    finally:
        await server.close()
    return Written(room / "page", ended.went_well(), told)


async def test_what_the_page_is_told_by_a_server_is_in_the_files(written):
    for path, value in written.told.items():
        kept = written.get(path)
        if path.endswith("/memories"):
            value = {"memories": value["memories"][:60]}
        assert kept == value, path


async def test_every_round_and_user_is_there(written):
    for round in range(41):
        assert written.get(f"{RUN}/at/{round}")["round"] == round
        assert written.get(f"{RUN}/feed/{round}")["lines"] or round == 0
    for user_id in written.get(f"{RUN}/world")["ids"]:
        for rest in ("", "/memories", "/timeline", "/calls"):
            assert written.get(f"{RUN}/u/{component(user_id)}{rest}")


async def test_it_says_of_itself_that_it_is_a_bundle_and_what_it_leaves_out(written):
    assert written.get("/api/me")["bundle"] is True
    assert written.get("/api/me")["read_only"] is True
    assert written.about["run"] == "finished"
    assert written.about["rounds"] == 40
    said = written.ended.values[-1]
    assert said["left_out"] == written.about["left_out"] != []
    assert said["bytes"] == sum(
        one.stat().st_size for one in written.folder.rglob("*") if one.is_file()
    )


async def test_its_page_loads_files_beside_it_and_nothing_else(written):
    page = (written.folder / "index.html").read_text("utf-8")
    assert 'type="module"' not in page
    for quoted in page.split('"')[1::2]:
        if quoted.endswith((".js", ".css", ".svg")):
            assert (written.folder / quoted).is_file(), quoted
    assert "//" not in page.replace("<!--", "")
    assert not [one for one in written.folder.rglob("*.js") if "vendor" in one.parts]
    assert (written.folder / "static/vendor/licences").is_dir()


async def test_no_text_of_a_run_ends_a_script(written):
    for one in (written.folder / "data").iterdir():
        text = one.read_text("utf-8")
        assert "<" not in text
        assert "\u2028" not in text


async def test_the_folder_on_the_server_is_not_told(written):
    assert written.get(RUN)["folder"] == ""


async def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page/mine.txt").write_text("mine")
    server = Staged(users=20, ties=40)
    await server.open()
    try:
        words = ("observatory", "--server", server.address, "--bundle", "page", "--run")
        assert "is not empty" in (await recarena(*words, "finished", cwd=tmp_path)).failed()
        assert [one.name for one in (tmp_path / "page").iterdir()] == ["mine.txt"]
        shutil.rmtree(tmp_path / "page")
        assert "nowhere" in (await recarena(*words, "nowhere", cwd=tmp_path)).failed()
    finally:
        await server.close()


@pytest.mark.parametrize("there", [False, True])
async def test_one_that_is_interrupted_leaves_nothing_and_can_be_written_again(tmp_path, there):
    if there:
        (tmp_path / "page").mkdir()
    before = list(tmp_path.rglob("*"))
    server = Staged(users=30, ties=80)
    await server.open()
    words = ("observatory", "--server", server.address, "--json", "--run", "finished")
    words = (*words, "--bundle", "page")
    try:
        async with started(*words, cwd=tmp_path) as live:
            assert await live.event("writing")
            server.stall()
            assert list(tmp_path.rglob("*.part"))
            live.process.send_signal(signal.SIGINT)
            ended = await live.ended()
        assert (ended.code, ended.err) == (130, "")
        assert list(tmp_path.rglob("*")) == before
        server.unstall()
        said = (await recarena(*words, cwd=tmp_path)).went_well().values[-1]
        assert said["page"] == "page/index.html"
        assert {one.name for one in tmp_path.iterdir()} == {"page"}
        assert {one.name for one in (tmp_path / "page").iterdir()} == {
            "data", "index.html", "static",
        }  # fmt: skip
    finally:
        await server.close()


async def test_one_that_fails_leaves_nothing(tmp_path):
    server = Staged(users=30, ties=80)
    await server.open()
    words = ("observatory", "--server", server.address, "--json", "--run", "finished")
    try:
        async with started(*words, "--bundle", "page", cwd=tmp_path) as live:
            assert await live.event("writing")
            await server.vanish()
            assert "cannot be reached" in (await live.ended()).failed()
        assert not list(tmp_path.iterdir())
    finally:
        await server.close()
