"""The `recarena` program as it is started, by that name or by `python -m recarena.server`."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the program; who stops it while it is being loaded sees no traceback either."""
    try:
        from recarena.server.cli import main as program
    except KeyboardInterrupt:
        sys.exit(130)
    program()


if __name__ == "__main__":
    main()
