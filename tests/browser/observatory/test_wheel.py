"""The wheel of the observatory by itself: every asset is in it and is served from it, and nothing
is asked of anybody else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from support.observatory.looking import looked_at, wait_state
from support.observatory.programs import Site, observatory
from support.observatory.staged import ThreadedStaged

ROOT = Path(__file__).parents[3]
HOME = ROOT / "clients" / "observatory"
STATIC = HOME / "src" / "recarena" / "observatory" / "static"
INSIDE = "recarena/observatory/static/"
SCREENS = ("/", "/run/live", "/run/live/arms", "/run/live/events", "/run/live/u/u2",
           "/run/live/play/u2")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=HOME, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    (made,) = folder.glob("*.whl")
    return made


def test_every_asset_and_the_licences_of_what_is_vendored_are_in_the_wheel(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = {
            one.removeprefix(INSIDE): archive.read(one)
            for one in archive.namelist()
            if one.startswith(INSIDE)
        }
    ours = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in STATIC.rglob("*")
        if path.is_file()
    }
    assert inside == ours
    assert {"index.html", "js/main.js", "vendor/VENDORED.md"} <= set(inside)
    listed = inside["vendor/VENDORED.md"].decode()
    for name in inside:
        if name.startswith("vendor/") and name.endswith((".js", ".css")):
            assert Path(name).name in listed, f"{name} has no line in VENDORED.md"


def test_an_installed_wheel_serves_every_asset_and_needs_no_network(
    browser: Any, staged: ThreadedStaged, wheel: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    where = "import recarena.observatory as one; print(one.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert found.stdout.startswith(str(tmp_path)), "the checkout is not what runs"
    with observatory(staged.address) as site:
        served(browser, site, tmp_path / INSIDE)


def served(browser: Any, site: Site, static: Path) -> None:
    with looked_at(browser, site, SCREENS[1]) as page:
        wait_state(page, "paused")
        for path in static.rglob("*"):
            if path.is_file() and path.name != "index.html":
                url = f"{site.origin}/static/{path.relative_to(static).as_posix()}"
                answer = page.context.request.get(url)
                assert answer.status == 200, url
                assert answer.body() == path.read_bytes(), url
                assert answer.headers["etag"], url
        for path in SCREENS:
            page.goto(site.origin + path)
            page.locator("main").wait_for()
            assert page.locator("main").inner_text().strip(), path
