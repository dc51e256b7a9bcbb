"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

REQUIRE_ALL = os.environ.get("RECARENA_REQUIRE_ALL") == "1"
LICENSED_DATA = "data:"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required, a test that skips itself has failed.

    Only a reason that begins with "data:" is taken: that data's licence keeps it off the machine.
    """
    report = yield
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
