"""The report of a study of explanations as a reader has it: on a phone, in the dark, asking nobody
for anything."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.judging.findings import findings
from recarena.evaluation.judging.page import render
from support.explained import HONEST, SYCOPHANT, Study, material

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium to look at the report with"),
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("explanations") / "report.html"
    made = material(HONEST, SYCOPHANT, study=Study(users=20, draws=3))
    page.write_text(render(findings(made, 0)), "utf-8")
    return page


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    root = hasattr(os, "getuid") and os.getuid() == 0
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if root else []
        )
        yield one
        one.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1300, "light")])
def test_it_fits_and_its_first_words_are_the_verdict(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.on("console", lambda one: complaints.append(one.text))
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    verdict = page.locator("#verdict p").all()
    assert "NOT passed by scripted:sycophant" in verdict[0].inner_text()
    assert all(one.bounding_box()["y"] < 800 for one in verdict)
    assert verdict[0].bounding_box()["y"] < page.locator("h1").bounding_box()["y"]
    assert [one for one in asked if not one.startswith(("file:", "data:"))] == []
    assert complaints == []
    context.close()
