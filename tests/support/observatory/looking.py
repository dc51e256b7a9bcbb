"""Pages in a real browser; whatever a page asks of others or complains about is an error."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.observatory.programs import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(__file__).parents[2] / "browser" / "vendor" / "axe.min.js"
WIDE, PHONE = 1280, 390
THEMES = ("light", "dark")
PATIENCE_MS = 20_000

WATCH_POLICY = """
window.__refused = [];
document.addEventListener('securitypolicyviolation', event => {
  window.__refused.push(`${event.violatedDirective} ${event.blockedURI}`);
  console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI);
});
"""


def flags(*more: str) -> list[str]:
    """What Chromium is started with here."""
    root = hasattr(os, "getuid") and os.getuid() == 0
    return [*(["--no-sandbox"] if root else []), *more]


@dataclass
class Conduct:
    """What a page did that it must not."""

    origin: str
    foreign: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    tolerated: Sequence[str] = ()
    """Patterns of console errors that the test provokes."""

    def watch(self, page: Any) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        page.on("dialog", self._dialog)
        page.on("websocket", lambda socket: self._asked(socket.url.replace("ws", "http", 1)))

    def request(self, request: Any) -> None:
        self._asked(request.url)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if (
            parts.scheme not in ("data", "blob")
            and f"{parts.scheme}://{parts.netloc}" != self.origin
        ):
            self.foreign.append(url)

    def _dialog(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":  # asked by the browser, in its own words
            dialog.accept()
            return
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        text = message.text
        if message.type not in ("error", "warning"):
            return
        if not any(re.search(one, text) for one in self.tolerated):
            self.wrong.append(f"console {message.type}: {text} ({message.location.get('url')})")

    def check(self) -> None:
        assert self.foreign == [], f"asked of others: {self.foreign}"
        assert self.wrong == [], "\n".join(self.wrong)


@contextmanager
def looked_at(
    browser: Any,
    site: Site,
    path: str = "/",
    *,
    width: int = WIDE,
    height: int = 800,
    theme: str = "light",
    tolerated: Sequence[str] = (),
    **more: Any,
) -> Iterator[Any]:
    """The page at a path. When the block is left it must have asked nothing of any other origin,
    broken no policy, thrown and complained about nothing (but what is tolerated)."""  # fmt: skip
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce",
        accept_downloads=True, **more,
    )  # fmt: skip
    context.set_default_timeout(PATIENCE_MS)
    conduct = Conduct(site.origin, tolerated=tolerated)
    context.on("request", conduct.request)
    context.on("page", conduct.watch)
    context.add_init_script(WATCH_POLICY)
    try:
        page = context.new_page()
        page.goto(site.at(path))
        try:
            yield page
        except BaseException:
            _keep(page)
            raise
        refused = [one.evaluate("window.__refused || []") for one in context.pages]
        assert not any(refused), refused
    finally:
        context.close()
    conduct.check()


def _keep(page: Any) -> None:
    """A picture of the page that a test failed on, where somebody wants to see it."""
    folder = os.environ.get("RECARENA_PICTURES")
    if folder:
        test = os.environ.get("PYTEST_CURRENT_TEST", "page").split("::")[-1].split(" ")[0]
        page.screenshot(path=Path(folder) / f"{re.sub(r'[^a-z0-9_]+', '-', test)}.png")


def shown_round(page: Any) -> int:
    """The last committed round that the bar tells."""
    text = page.locator("[data-shown=round]").first.inner_text()
    return int(re.sub(r"\D", "", text) or 0)


def wait_round(page: Any, least: int, timeout_ms: int = PATIENCE_MS) -> int:
    """Waits until the bar tells of so many rounds."""
    page.wait_for_function(
        "least => Number((document.querySelector('[data-shown=round]')?.textContent || '')"
        ".replace(/\\D/g, '')) >= least",
        arg=least, timeout=timeout_ms,
    )  # fmt: skip
    return shown_round(page)


def wait_state(page: Any, state: str) -> None:
    """Waits until the bar's badge tells this state of the run."""
    page.locator(f"header.bar [data-state={state}]").wait_for()


def findings(page: Any, exclude: Sequence[str] = ()) -> list[str]:
    """What axe finds wrong, a line each."""
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate(
        """async exclude =>
          await axe.run({exclude}, {resultTypes: ['violations'], preload: false})""",
        [[one] for one in exclude],
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:160]} | "
        f"{' '.join((node.get('failureSummary') or '').split())[:300]}"
        for one in result["violations"]
        for node in one["nodes"]
    ]
