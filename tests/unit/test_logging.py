"""Operators' logs, as a program writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import asyncio, logging, sys, warnings
import structlog
from recarena.server.cli.output import set_up_logging

set_up_logging(sys.argv[1], as_json=sys.argv[2] == "json")
set_up_logging(sys.argv[1], as_json=sys.argv[2] == "json")
log = structlog.get_logger()

def fail(password):
    raise ValueError("in two\\nlines")

async def inside():
    log.debug("detail")
    log.info("inner", path=sys)
    try:
        fail("s3cret")
    except ValueError:
        log.exception("broken")
        logging.getLogger("library").exception("also %s", "broken")
    logging.getLogger("library").info("not heard")
    warnings.warn("careful")

async def run():
    structlog.contextvars.bind_contextvars(run="first")
    async with asyncio.TaskGroup() as group:
        group.create_task(inside())
    await asyncio.gather(asyncio.to_thread(log.info, "in a thread"))

async def session():
    structlog.contextvars.bind_contextvars(session="abc")
    log.info("of a session")

async def main():
    await asyncio.gather(asyncio.create_task(run()), asyncio.create_task(session()))
    log.info("after")

asyncio.run(main())
"""


def said(level: str = "info") -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level, "json"], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.fixture(scope="module")
def lines() -> dict[str, dict[str, Any]]:
    found = said()
    assert len(found) == len({line["event"] for line in found})  # each is said once
    return {line["event"]: line for line in found}


def test_every_line_is_one_object_with_its_level_and_time(lines):
    for line in lines.values():
        assert line["level"] in ("info", "warning", "error")
        assert line["timestamp"].endswith("Z")


def test_an_exception_stays_in_its_line(lines):
    for event in ("broken", "also broken"):
        assert lines[event]["exception"].startswith("Traceback (most recent call last):\n")
        assert lines[event]["exception"].endswith("ValueError: in two\nlines")


def test_no_traceback_shows_what_variables_held(lines):
    assert "s3cret" not in json.dumps(lines)


def test_libraries_and_warnings_speak_in_the_same_form(lines):
    assert lines["also broken"]["logger"] == "library"
    (warning,) = [line for line in lines.values() if line.get("logger") == "py.warnings"]
    assert "UserWarning: careful" in warning["event"]
    assert "not heard" not in lines


def test_what_a_task_is_bound_to_holds_in_the_tasks_it_makes_and_nowhere_else(lines):
    for event in ("inner", "broken", "also broken", "in a thread"):
        assert lines[event]["run"] == "first"
        assert "session" not in lines[event]
    assert lines["of a session"]["session"] == "abc"
    assert "run" not in lines["of a session"]
    assert not {"run", "session"} & set(lines["after"])


def test_what_json_has_not_is_written_as_text(lines):
    assert lines["inner"]["path"].startswith("<module 'sys'")


def test_more_is_said_where_more_is_asked_for(lines):
    assert "detail" not in lines
    assert "detail" in [line["event"] for line in said("debug")]


def test_on_a_terminal_it_is_for_people():
    ours, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", PROGRAM, "info", "pretty"], stderr=theirs, check=True)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:  # the terminal is gone: all of it was read
        pass
    os.close(ours)
    assert b"inner" in text
    assert b"ValueError: in two" in text
    assert b'{"' not in text
    assert b"s3cret" not in text
    assert b"UserWarning: Remove" not in text
