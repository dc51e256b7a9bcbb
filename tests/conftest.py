"""What holds for every test."""

from __future__ import annotations

import compileall
import fcntl
import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from support import figures

REQUIRE_ALL = os.environ.get("RECARENA_REQUIRE_ALL") == "1"
LICENSED_DATA = "data:"

# An example may take long where others use the machine too; a test as a whole has its own limit.
# Where everything is required a change is judged by itself, by the same examples each time;
# elsewhere they are new each time, and find what nobody had thought of.
hypothesis.settings.register_profile("here", deadline=None, derandomize=REQUIRE_ALL)
hypothesis.settings.load_profile("here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required, a test that skips itself has failed.

    Only a reason that begins with "data:" is taken: that data's licence keeps it off the machine.
    """
    report = yield
    report.user_properties += figures.taken()
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = skip_reason(report.longrepr)
        if not reason.startswith(LICENSED_DATA):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, and nothing may be here: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if REQUIRE_ALL and report.skipped:
        reason = skip_reason(report.longrepr)
        if not reason.startswith(LICENSED_DATA):
            report.outcome = "failed"
            report.longrepr = f"{collector.nodeid} was skipped, and nothing may be here: {reason}"
    return report


def skip_reason(longrepr: object) -> str:
    """The words given to `pytest.skip` or a skip mark."""
    text = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return str(text).removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests measured stands at the end, also of tests that another process ran."""
    said = [
        line
        for reports in terminalreporter.stats.values()
        for one in reports
        for name, line in getattr(one, "user_properties", ())
        if name == figures.PROPERTY
    ]
    if said:
        terminalreporter.section("figures")
        for line in dict.fromkeys(said):
            terminalreporter.write_line(line)


ROOM = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tells each of several processes that run tests where they take turns."""
    if ROOM not in node.config.stash:
        node.config.stash[ROOM] = tempfile.TemporaryDirectory(prefix="recarena-tests-")
    node.workerinput["room"] = node.config.stash[ROOM].name


def pytest_sessionstart(session: pytest.Session) -> None:
    """Where Python is told to write no compiled code (PYTHONDONTWRITEBYTECODE, as in many
    containers), each program that tests start would compile all of RecArena again."""
    if sys.dont_write_bytecode and not hasattr(session.config, "workerinput"):
        for path in map(Path, sys.path):
            ours = path.is_relative_to(session.config.rootpath)
            if ours and path.name in ("src", "python") and not path.is_relative_to(sys.prefix):
                compileall.compile_dir(path, quiet=2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Tidies up."""
    if ROOM in config.stash:
        config.stash[ROOM].cleanup()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test marked `alone` has the machine for itself, though others run beside each other.

    Two locks: who wants to be alone keeps the gate while it waits, so that nobody overtakes it.
    """
    room = getattr(item.config, "workerinput", {}).get("room")
    if room is None:
        return (yield)
    alone = item.get_closest_marker("alone") is not None
    with Path(room, "gate").open("a") as gate, Path(room, "room").open("a") as inside:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def room(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what all processes that run tests share: see `support.shared`."""
    given = getattr(request.config, "workerinput", {}).get("room")
    return Path(given) if given else tmp_path_factory.mktemp("room")


@pytest.fixture(autouse=True, scope="session")
def no_live_model() -> Generator[None]:
    """No test reaches a model that costs money: there are no keys, the providers are nobody here,
    also for the programs that tests start, and this process connects to the loopback only."""
    with pytest.MonkeyPatch.context() as patch:
        for provider in ("ANTHROPIC", "OPENAI"):
            patch.delenv(f"{provider}_API_KEY", raising=False)
            patch.setenv(f"{provider}_BASE_URL", "http://127.0.0.1:9")
        for method in ("connect", "connect_ex"):
            patch.setattr(socket.socket, method, only_here(getattr(socket.socket, method)))
        yield


def only_here(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
    """Fails where the address is not of this machine. Not by an OSError, which is tried again."""

    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(str(address[0])):
            raise AssertionError(f"no test may connect to {address!r}")
        return connect(self, address)

    return guarded


def is_loopback(host: str) -> bool:
    """Names other than localhost are not looked up."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
