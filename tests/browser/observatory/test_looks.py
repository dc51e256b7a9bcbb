"""Every screen in both themes and at several sizes: accessible, in its place, and hostile text
inert."""

from __future__ import annotations

from typing import Any

import pytest

from support.observatory.looking import PHONE, THEMES, WIDE, findings, looked_at, wait_state
from support.observatory.programs import Site, observatory
from support.observatory.scenery import HOSTILE

SCREENS = {
    "runs": "/", "stage": "/run/live?u=u2", "list": "/run/live?view=list",
    "replay": "/run/live?at=9", "person": "/run/live/u/u4", "arms": "/run/live/arms",
    "events": "/run/live/events", "audit": "/run/live/events?tab=audit",
    "play": "/run/live/play/u4", "failed": "/run/broken", "finished": "/run/finished",
}  # fmt: skip
SIZES = {"wide": (WIDE, 800, 1), "phone": (PHONE, 844, 1), "zoomed": (WIDE // 2, 400, 2)}


def still_page(page: Any) -> None:
    """Waits until the screen has what it shows."""
    page.locator("main").wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)  # a frame or two for what is drawn late


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_wrong(browser: Any, still: Site, theme: str):
    found: list[str] = []
    with looked_at(browser, still, "/", theme=theme, bypass_csp=True) as page:
        for name, path in SCREENS.items():
            page.goto(still.origin + path)
            still_page(page)
            found += [f"{name}: {one}" for one in findings(page)]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_overlaps_or_sticks_out(browser: Any, still: Site, size: str, theme: str):
    width, height, scale = SIZES[size]
    found: list[str] = []
    look = looked_at(browser, still, "/", width=width, height=height, theme=theme,
                     device_scale_factor=scale)  # fmt: skip
    with look as page:
        for name, path in SCREENS.items():
            page.goto(still.origin + path)
            still_page(page)
            found += [f"{name}: {one}" for one in page.evaluate(GEOMETRY)]
    assert found == [], "\n".join(found)


def test_hostile_names_and_titles_are_words_and_nothing_more(browser: Any, still: Site):
    with looked_at(browser, still, "/run/live?view=list") as page:
        for name, path in {**SCREENS, "search": "/run/live/events?q=alert"}.items():
            page.goto(still.origin + path)
            still_page(page)
            assert page.evaluate(STRANGERS) == [], name
            assert page.locator("header").first.is_visible(), f"{name}: a style took effect"
        page.goto(f"{still.origin}/run/live/u/u4")
        page.get_by_role("heading", name=HOSTILE[0]).wait_for()
        page.goto(f"{still.origin}/run/live?view=list")
        page.get_by_role("region", name="Users").get_by_text("a/b?c#d %2F").wait_for()
        page.get_by_role("row").filter(has_text="a/b?c#d %2F").get_by_role("link").click()
        page.wait_for_url("**/run/live/u/a%2Fb%3Fc%23d%20%252F*")
        page.get_by_text("a/b?c#d %2F").first.wait_for()
        page.reload()
        page.get_by_text("a/b?c#d %2F").first.wait_for()


def test_an_observer_sees_everything_and_can_press_nothing(browser: Any, still_stage: Any):

    with (
        observatory(still_stage.address, "--read-only") as site,
        looked_at(browser, site, "/run/live") as page,
    ):
        wait_state(page, "paused")
        page.get_by_text("Watching only").wait_for()
        commands = page.get_by_role("group", name="Run", exact=True).get_by_role("button")
        assert commands.count() >= 5
        assert all(one.is_disabled() for one in commands.all())


STRANGERS = """() => {
  const own = new URL(location.href).origin, bad = [];
  for (const one of document.querySelectorAll('img, script, iframe, object, embed, style, link, a'))
  {
    const url = one.src || one.href || one.data || '';
    const inline = ['SCRIPT', 'STYLE'].includes(one.tagName) && one.textContent.trim();
    if (inline || (url && !/^(data|blob):/.test(url) && !String(url).startsWith(own)))
      bad.push(one.outerHTML.slice(0, 200));
  }
  for (const one of document.querySelectorAll('*'))
    for (const attribute of one.attributes)
      if (attribute.name.startsWith('on')) bad.push(one.outerHTML.slice(0, 200));
  return bad;
}"""

GEOMETRY = """() => {
  const bad = [], wide = document.documentElement.clientWidth;
  const words = one => `${one.tagName.toLowerCase()}.${one.className} "${
    (one.innerText || one.getAttribute('aria-label') || '').trim().slice(0, 40)}"`;
  const shown = one => one.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && one.getClientRects().length > 0 && !one.closest('.sr, [aria-hidden=true], .skip');
  if (document.documentElement.scrollWidth > wide + 1)
    bad.push(`the page is ${document.documentElement.scrollWidth} wide in ${wide}`);
  const scrolls = one => {
    for (let up = one.parentElement; up; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (/auto|scroll|hidden/.test(style.overflowX + style.overflowY)) return up;
    }
    return null;
  };
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1.5;
  const groups = [...document.querySelectorAll('tbody, ul, ol, dl, [role=group], nav, .bar-row')];
  for (const group of groups) {
    const rows = [...group.children].filter(shown).slice(0, 60);
    const boxes = rows.map(one => one.getBoundingClientRect());
    for (let i = 1; i < rows.length; i++)
      if (overlap(boxes[i - 1], boxes[i]))
        bad.push(`${words(rows[i - 1])} lies over ${words(rows[i])}`);
  }
  const parts = 'button, a, input, select, h1, h2, h3, p, td, th, dt, dd, label, span';
  for (const one of document.querySelectorAll(parts)) {
    if (!shown(one)) continue;
    const box = one.getBoundingClientRect(), inside = scrolls(one);
    const style = getComputedStyle(one);
    const text = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!inside && (box.right > wide + 1 || box.left < -1)) bad.push(`${words(one)} sticks out`);
    const cut = /hidden|clip/.test(style.overflowX) && one.scrollWidth > one.clientWidth + 1
      || /hidden|clip/.test(style.overflowY) && one.scrollHeight > one.clientHeight + 2;
    const told = one.closest('[title]') || style.textOverflow === 'ellipsis';
    if (text && cut && !told) bad.push(`${words(one)} is cut`);
    if (text && parseFloat(style.fontSize) < 11) bad.push(`${words(one)} is small`);
  }
  const pressed = 'button:not(.link-button, .round-mark), a.button, select, input[type=text]';
  for (const one of document.querySelectorAll(pressed)) {
    if (!shown(one)) continue;
    const box = one.getBoundingClientRect();
    if (box.height < 20)
      bad.push(`${words(one)} is ${Math.round(box.height)} px high`);
  }
  return bad.slice(0, 12);
}"""
