"""The same recommender in several languages competes in the same worlds: `make demo-languages`.

    python clients/demo_languages.py [OPTIONS of `recarena demo`...]

Builds the clients first. A language whose tools are missing takes no part, and that is said.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from build import CLIENTS, LANGUAGES

ROOT = CLIENTS.parent
PYTHON = "clients/python/examples/co_occurrence.py"
OTHERS = ("popular", "random")
"""Reference recommenders to compare with."""
SIZE = ("--worlds", "3", "--users", "150", "--rounds", "8")


def main() -> int:
    """What `recarena demo` ends with; 1 where fewer than two languages can take part."""
    status = subprocess.run([sys.executable, str(CLIENTS / "build.py")], check=False).returncode
    commands = {"python": f"{sys.executable} {PYTHON}"}
    commands |= {
        one.name: one.co_occurrence
        for one in LANGUAGES.values()
        if not one.missing() and one.is_built(one.digest())
    }
    if status or len(commands) < 2:
        print("the competition needs clients in two languages at least", file=sys.stderr)
        return 1
    chosen = [f"{name}={command} --id {name} --server {{server}}"
              for name, command in commands.items()]  # fmt: skip
    words = [word for one in (*chosen, *OTHERS) for word in ("--recommender", one)]
    program = Path(sys.executable).with_name("recarena")
    return subprocess.run([program, "demo", *SIZE, *words, *sys.argv[1:]], cwd=ROOT,
                          check=False).returncode  # fmt: skip


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
