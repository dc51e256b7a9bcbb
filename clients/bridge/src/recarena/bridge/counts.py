"""What the bridge counts, for a line in the log per round."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counts:
    """Figures since they were told last."""

    lists: int = 0
    searches: int = 0
    requests: int = 0
    retries: int = 0
    failed: int = 0
    unknown_items: int = 0
    excluded_items: int = 0
    repeated_items: int = 0
    short_lists: int = 0
    events_sent: int = 0
    events_refused: int = 0
    events_lost: int = 0
    events_without_item: int = 0

    def take(self) -> Counts:
        """The figures so far; they begin at 0 again."""
        taken = Counts(*(getattr(self, one.name) for one in fields(self)))
        for one in fields(self):
            setattr(self, one.name, 0)
        return taken

    def told(self) -> str:
        """On one line: what was done always, what went wrong where there is any."""
        always = ("lists", "searches", "requests", "failed", "events_sent")
        figures = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return ", ".join(
            f"{number} {name.replace('_', ' ')}"
            for name, number in figures
            if number or name in always
        )
