"""What the program says."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from recarena.observatory.bundle import Contents
from recarena.observatory.guard import Doors


class Output:
    """Lines for people, or JSON for programs."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    def serving(self, doors: Doors, server: str, *, read_only: bool) -> str:
        """The page is served; the address to open."""
        first = sorted(doors.origins, key=lambda one: ("127.0.0.1" not in one, one))[0]
        address = f"{first}/?token={doors.token}"
        others = " Nothing can be changed from it." if read_only else ""
        self._say(
            {"event": "serving", "url": address, "server": server, "read_only": read_only},
            f"The observatory of {server} is at\n\n  {address}\n\n"
            f"Whoever opens this address is let in.{others} Ctrl-C ends the page; runs go on.",
        )
        return address

    def waiting(self, server: str) -> None:
        """The RecArena server is not there yet."""
        self._say(
            {"event": "waiting", "server": server},
            f"No RecArena server at {server} yet: waiting for it. Start one with "
            f"recarena serve --listen {server}",
        )

    def refused(self, why: str) -> None:
        """The RecArena server does not let this program in any more."""
        self._say({"event": "refused", "message": why}, f"{why[0].upper()}{why[1:]}.")

    def progress(self, what: str) -> None:
        """What is being written."""
        self._say({"event": "writing", "what": what}, f"Writing {what} …")

    def exported(self, contents: Contents, run: str) -> None:
        """A bundle is written."""
        page = contents.folder / "index.html"
        left_out = "".join(f"\n  - {one}" for one in contents.left_out)
        self._say(
            {
                "event": "exported", "run": run, "page": str(page), "bytes": contents.bytes,
                **contents.as_json(),
            },
            f"{run}, {contents.rounds} rounds, {contents.bytes / 1e6:.1f} MB: open {page}\n"
            f"Not in it:{left_out}",
        )  # fmt: skip

    def _say(self, event: dict[str, Any], text: str) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()
        else:
            self._console.print(text, markup=False)
