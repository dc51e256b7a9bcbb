"""What is told in a line, and not with a traceback."""

from __future__ import annotations

from collections.abc import Callable

INTERRUPTED = 130
FAILED = 1


def told(act: Callable[[], int], error: Callable[[str], None]) -> int:
    """What `act` returns, or the exit code of what went wrong, once it has been told: 1, or
    128 + the signal's number where somebody stopped it."""
    from recarena.client import BadCredentials
    from recarena.evaluation.competing.manifest import UnreadableCompetition
    from recarena.evaluation.competing.plan import BadPlan
    from recarena.evaluation.playing.admission import NoTokens
    from recarena.evaluation.playing.processes import Interrupted
    from recarena.evaluation.playing.stage import EXPECTED

    try:
        return act()
    except (Interrupted, KeyboardInterrupt) as stop:
        error("Stopped.")
        return stop.exit_code if isinstance(stop, Interrupted) else INTERRUPTED
    except BrokenPipeError:
        raise
    except (BadPlan, UnreadableCompetition, NoTokens, BadCredentials, *EXPECTED) as expected:
        error(str(expected))
        return FAILED
