"""The report in a real browser: nothing is asked for, nothing sticks out, everything can be read
and reached."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recarena.evaluation.leaderboard.gate import Gate
from recarena.evaluation.report.content import content_of
from recarena.evaluation.report.render import render
from support.competition_folders import Sketch, a_card, write_competition

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium to look at the report with"),
    pytest.mark.timeout(120),
]
PHONE, TABLET, DESKTOP = 360, 768, 1280
SCHEMES = ("light", "dark")
HOSTILE = '<img src="https://evil.example/x" onerror="alert(1)">'
LONG = "a-recommender-with-a-name-as-long-as-a-name-may-be-0123456789ab"
LEAST_CONTRAST, LEAST_PIXELS = 4.5, 9.8


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything that a page can have, and names that want to break it."""
    folder = tmp_path_factory.mktemp("browser") / "spring"
    bounds = {"mean": 0.03, "low": 0.02, "high": 0.04}
    spillover = [{"a": "ease", "b": LONG, "mirrored": bounds, "spillover": bounds, "shown": True,
                  "sentence": f"The split recovers 40 % {HOSTILE}"}]  # fmt: skip
    names = ("ease", LONG, HOSTILE.replace("/", "|"), "random")
    write_competition(
        folder,
        Sketch(names, worlds=2, rounds=3, failing="random", world_name=HOSTILE,
               gate=Gate(max_p95_ms=40, max_unusable_rate=0.1), card=a_card(passed=False),
               more_results={"spillover": spillover}),
    )  # fmt: skip
    conduct = {"recommender": "random", "software": HOSTILE, "sessions": 2, "unsolicited": 9,
               "endings": {"FLOODED": 1}, "dispositions": {"LATE": 2},
               "complaints": [{"outcome": "rejected", "text": f"{LONG}{LONG}{LONG}"}]}  # fmt: skip
    (folder / "runs" / "w0-random" / "conduct.jsonl").write_text(json.dumps(conduct))
    page = folder / "report.html"
    page.write_text(render(content_of(folder)), "utf-8")
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


@contextmanager
def shown(browser: Any, report: Path, width: int, scheme: str = "light") -> Iterator[Any]:
    """The page in a window so wide; whatever it asks for or complains about is an error."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    asked: list[str] = []
    wrong: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', e => console.error(e.blockedURI))"
    )
    page.goto(report.as_uri())
    try:
        yield page
    finally:
        context.close()
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
    assert wrong == []


WINDOWS = [(width, scheme) for width in (PHONE, TABLET, DESKTOP) for scheme in SCHEMES]


@pytest.fixture(scope="module", params=WINDOWS, ids=lambda one: f"{one[0]}-{one[1]}")
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Generator[Any]:
    """The page with everything open, in windows of several widths and schemes."""
    width, scheme = request.param
    with shown(browser, report, width, scheme) as one:
        one.evaluate(OPEN_ALL)
        yield one


@pytest.fixture(scope="module")
def desktop(browser: Any, report: Path) -> Generator[Any]:
    with shown(browser, report, DESKTOP) as one:
        yield one


CONTRASTS = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const paper = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    if (['STYLE', 'TITLE', 'title'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), drawn = element instanceof SVGElement;
    const a = light(parse(drawn ? style.fill : style.color)), b = light(paper(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < LEAST) poor.push([walker.currentNode.data.trim().slice(0, 40), ratio]);
  }
  return {seen, poor};
}""".replace("LEAST", str(LEAST_CONTRAST))

DRAWINGS = """() => {
  const found = {small: [], outside: [], over: [], bare: []};
  for (const svg of document.querySelectorAll('svg')) {
    if (!svg.getClientRects().length) continue;
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const texts = [...svg.querySelectorAll('text')].filter(one => one.textContent);
    const boxes = texts.map(one => one.getBoundingClientRect());
    texts.forEach((text, at) => {
      const words = text.textContent, mine = boxes[at];
      if (parseFloat(getComputedStyle(text).fontSize) * scale < PIXELS) found.small.push(words);
      if (mine.left < box.left - 1 || mine.right > box.right + 1 || mine.top < box.top - 2
          || mine.bottom > box.bottom + 2) found.outside.push(words);
      boxes.slice(0, at).forEach((other, number) => {
        const wide = Math.min(mine.right, other.right) - Math.max(mine.left, other.left);
        const high = Math.min(mine.bottom, other.bottom) - Math.max(mine.top, other.top);
        if (wide > 1 && high > 4) found.over.push([texts[number].textContent, words]);
      });
    });
    const figure = svg.closest('figure');
    if (!figure || !figure.querySelector('table tbody tr td') || !svg.getAttribute('aria-label'))
      found.bare.push(svg.outerHTML.slice(0, 80));
  }
  return found;
}""".replace("PIXELS", str(LEAST_PIXELS))

OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  const out = [...document.querySelectorAll('body *')].filter(one =>
    one.getClientRects().length && !one.closest('.scroll, pre, svg, .skip, .away')
    && one.getBoundingClientRect().right > wide + 1);
  return {page: document.documentElement.scrollWidth - wide,
          out: out.map(one => one.outerHTML.slice(0, 80))};
}"""

OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true; })"


def test_nothing_sticks_out_of_the_page_and_all_of_it_can_be_read(page: Any):
    assert page.evaluate(OVERFLOW) == {"page": 0, "out": []}
    contrasts = page.evaluate(CONTRASTS)
    assert contrasts["seen"] > 500
    assert contrasts["poor"] == []


def test_drawings_are_legible_and_have_their_tables(page: Any):
    assert page.evaluate(DRAWINGS) == {"small": [], "outside": [], "over": [], "bare": []}


def test_the_colours_can_be_chosen_without_a_script(browser: Any, report: Path):
    paper = "getComputedStyle(document.body).backgroundColor"
    with shown(browser, report, DESKTOP, "light") as page:
        light = page.evaluate(paper)
        page.check("#theme-dark")
        dark = page.evaluate(paper)
        assert dark != light
        page.check("#theme-auto")
        assert page.evaluate(paper) == light
    with shown(browser, report, PHONE, "dark") as page:
        assert page.evaluate(paper) == dark
        page.get_by_label("light").check()
        assert page.evaluate(paper) == light


def test_headings_go_down_one_step_at_a_time(desktop: Any):
    levels = desktop.eval_on_selector_all(
        "h1, h2, h3, h4, h5, h6", "all => all.map(one => Number(one.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_landmarks_and_links_lead_somewhere(desktop: Any):
    for landmark in ("main", "header", "nav[aria-labelledby]", "footer"):
        assert desktop.locator(landmark).count() == 1
    lost = desktop.eval_on_selector_all(
        "a[href^='#']",
        "all => all.map(one => one.hash.slice(1)).filter(id => !document.getElementById(id))",
    )
    assert lost == []
    twice = desktop.evaluate(
        "() => { const ids = [...document.querySelectorAll('[id]')].map(one => one.id);"
        " return ids.filter((id, at) => ids.indexOf(id) !== at); }"
    )
    assert twice == []


REACHABLE = """() => {
  const all = [...document.querySelectorAll('a[href], summary, input, [tabindex="0"]')]
    .filter(one => one.checkVisibility() && (one.type !== 'radio' || one.checked));
  all.forEach((one, at) => { one.dataset.at = at; });
  return all.length;
}"""
FOCUSED = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [one.dataset.at === undefined ? -1 : Number(one.dataset.at), seen];
}"""


def test_the_keyboard_reaches_everything_and_shows_where_it_is(desktop: Any):
    desktop.reload()
    count = desktop.evaluate(REACHABLE)
    assert count > 50
    reached: list[int] = []
    for _ in range(count):
        desktop.keyboard.press("Tab")
        at, seen = desktop.evaluate(FOCUSED)
        assert seen, f"the focus is not to be seen on element {at}"
        reached.append(at)
    assert reached == list(range(count))


def test_the_skip_link_comes_first_and_a_table_opens_by_key(desktop: Any):
    desktop.reload()
    desktop.keyboard.press("Tab")
    assert desktop.evaluate("document.activeElement.className") == "skip"
    assert desktop.locator(".skip").bounding_box()["x"] >= 0
    desktop.keyboard.press("Enter")
    assert desktop.evaluate("document.activeElement.id") == "main"
    desktop.locator("#result summary").first.focus()
    desktop.keyboard.press("Enter")
    assert desktop.locator("#result figure").first.locator("table").is_visible()


def test_paper_gets_dark_on_light_and_no_controls(browser: Any, report: Path):
    with shown(browser, report, DESKTOP, "dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("nav").is_visible()
        assert not page.locator(".theme").is_visible()
        assert page.evaluate(CONTRASTS)["poor"] == []
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 33, 36)"


def test_names_from_outside_do_nothing(desktop: Any):
    assert desktop.locator("img, script, iframe").count() == 0
    assert desktop.get_by_text(HOSTILE, exact=False).count() > 0
