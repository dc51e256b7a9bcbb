"""Output of commands: tables for people, one JSON object a line for machines, logs to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

JSON = typer.Option("--json", help="One JSON object a line, for machines.")
LOG_HANDLER = "recarena"
"""Name of our handler of the standard library's log records."""


def emit(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout, at once."""
    typer.echo(json.dumps(value, default=str, ensure_ascii=False))


def console() -> Console:
    """Where tables and sentences go."""
    from rich.console import Console

    return Console(highlight=False)


def say(text: str) -> None:
    """A line for people on stderr."""
    typer.echo(text, err=True)


def set_up_logging(level: str, as_json: bool) -> None:
    """Operators' logs: pretty on a terminal, JSON lines otherwise, always on stderr. What
    libraries log or warn of takes the same form, from warnings on."""
    import logging

    import structlog

    number = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty() and not as_json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    rendering: list[Any] = (
        # Plain: a traceback with the values of its variables could show a key.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(LOG_HANDLER)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    for one in [one for one in root.handlers if one.get_name() == LOG_HANDLER]:
        root.removeHandler(one)
    root.addHandler(handler)
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)
