"""Checks of `recarena doctor` that need a machine other than this one."""

from __future__ import annotations

import resource
import shutil
import socket
import sys
from collections import namedtuple
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from recarena.server.cli.checks import (
    Level,
    addresses,
    folders,
    installed,
    machine,
    models,
    secrets,
)
from recarena.server.cli.checks.installed import Requirement, requirements_of
from recarena.server.errors import InputError
from support.certificates import Authority

Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.mark.parametrize(
    ("free", "level", "text"),
    [
        (5 * 2**30, Level.OK, "5.0 GiB free"),
        (2**30, Level.OK, "1.0 GiB free"),
        (2**30 - 1, Level.WARN, "1024 MiB free"),
        (100 * 2**20, Level.WARN, "100 MiB free"),
        (100 * 2**20 - 1, Level.FAIL, "100 MiB free"),
    ],
)
def test_little_disk_is_a_warning_and_almost_none_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, level: Level, text: str
):
    asked: list[Path] = []
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: asked.append(path) or Usage(2**40, 0, free)
    )
    found = folders.disk_space(tmp_path / "not" / "there")
    assert (found.level, found.text) == (level, text)
    assert asked == [tmp_path]


def test_a_folder_that_may_not_be_written_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", refuse)
    found = folders.runs_folder(tmp_path)
    assert (found.level, found.text) == (Level.FAIL, f"{tmp_path}: Permission denied")


# ------------------------------------------------------------------------------ the machine
def test_a_date_before_recarena_was_made_fails():
    found = machine.clock(datetime(2001, 1, 1, tzinfo=UTC))
    assert (found.level, "2001-01-01" in found.text) == (Level.FAIL, True)
    assert machine.clock().level is Level.OK


def test_a_clock_that_stands_still_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine.time, "monotonic_ns", lambda: 7)
    assert machine.clock().level is Level.FAIL


@pytest.mark.parametrize(
    ("limit", "level"),
    [(1023, Level.WARN), (1024, Level.OK), (resource.RLIM_INFINITY, Level.OK)],
)
def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch, limit: int, level: Level):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert machine.open_files().level is level


def test_a_server_that_does_not_answer_fails(monkeypatch: pytest.MonkeyPatch):
    async def silence() -> float:
        raise TimeoutError

    monkeypatch.setattr(machine, "_answered", silence)
    for name in machine.PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert machine.loopback().text == "no answer from a server: TimeoutError"
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert "no_proxy" in machine.loopback().remedy


# ------------------------------------------------------------------------------ what is installed
def test_an_old_python_fails(monkeypatch: pytest.MonkeyPatch):
    class Version(tuple):
        major, minor, micro = 3, 10, 4

    monkeypatch.setattr(sys, "version_info", Version((3, 10, 4)))
    found = installed.python_version()
    assert (found.level, found.text) == (Level.FAIL, "3.10.4, 3.11 is needed")


def versions(monkeypatch: pytest.MonkeyPatch, **of: str | None) -> None:
    """Pretends that these versions are installed, None: that it is not."""
    real = metadata.version

    def version(name: str) -> str:
        given = of.get(name.replace("-", "_"), real)
        if given is None:
            raise metadata.PackageNotFoundError(name)
        return given if isinstance(given, str) else real(name)

    monkeypatch.setattr(installed.metadata, "version", version)


def test_packages_of_several_versions_fail(monkeypatch: pytest.MonkeyPatch):
    assert installed.own_packages().level is Level.OK
    versions(monkeypatch, recarena_client="0.0.9")
    found = installed.own_packages()
    assert (found.level, "recarena-client 0.0.9" in found.text) == (Level.FAIL, True)
    versions(monkeypatch, recarena_client=None, recarena_evaluation=None)
    assert installed.own_packages().level is Level.OK
    versions(monkeypatch, recarena_protocol=None)
    assert installed.own_packages().text == "recarena-protocol is not installed"


def test_dependencies_that_are_too_old_or_missing_fail(monkeypatch: pytest.MonkeyPatch):
    assert installed.dependencies().level is Level.OK
    versions(monkeypatch, numpy="1.26.4", structlog=None)
    found = installed.dependencies()
    assert found.level is Level.FAIL
    assert found.text == "numpy 1.26.4 is installed, >=2.1 is needed; structlog is not installed"


def test_an_extra_that_is_missing_is_a_note_and_half_of_one_a_warning(
    monkeypatch: pytest.MonkeyPatch,
):
    versions(monkeypatch, prometheus_client=None, opentelemetry_sdk="1.0.0")
    found = {one.name: one for one in installed.extras()}
    assert set(found) == {"extra llm", "extra metrics", "extra minilm", "extra tracing"}
    assert found["extra metrics"].level is Level.NOTE
    assert "recarena-server[metrics]" in found["extra metrics"].remedy
    assert found["extra tracing"].level is Level.WARN


def test_generated_code_that_does_not_fit_fails(monkeypatch: pytest.MonkeyPatch):
    assert installed.generated_code().level is Level.OK

    def refuse(_: str) -> None:
        raise RuntimeError("The grpc package installed is at version 1.2. Upgrade it.")

    monkeypatch.setattr(installed, "import_module", refuse)
    found = installed.generated_code()
    assert (found.level, found.text) == (
        Level.FAIL, "The grpc package installed is at version 1.2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "version", "good"),
    [
        ((), "0.1", True),
        (((">=", "1.78"),), "1.78.0", True),
        (((">=", "1.78"),), "1.77.9", False),
        (((">=", "1.78"), ("<", "2")), "2.0.0", False),
        (((">=", "1.78"), ("<", "2")), "1.100.2.post1", True),
        ((("==", "1.2"),), "1.2.0", True),
        ((("!=", "1.2"),), "1.2.0", False),
        (((">=", "0.60"),), "0.66b2", True),
    ],
)
def test_versions_are_compared_as_numbers(
    monkeypatch: pytest.MonkeyPatch, bounds: tuple, version: str, good: bool
):
    versions(monkeypatch, some=version)
    assert (Requirement("some", bounds).problem() == "") == good


def test_requirements_are_read_as_the_metadata_has_them():
    found = {one.name: one for one in requirements_of("recarena-server")}
    assert set(found["grpcio-status"].bounds) == {(">=", "1.78"), ("<", "2")}
    assert found["prometheus-client"].extra == "metrics"
    assert found["recarena-protocol"] == Requirement("recarena-protocol", ())


# ------------------------------------------------------------------------------ addresses, names
@pytest.mark.parametrize(
    ("listen", "tls", "callers", "level"),
    [
        ("127.0.0.1:1", False, False, Level.OK),
        ("[::1]:1", False, False, Level.OK),
        ("localhost:1", False, False, Level.OK),
        ("0.0.0.0:1", False, True, Level.WARN),
        ("arena.example:1", True, False, Level.WARN),
        ("arena.example:1", True, True, Level.OK),
    ],
)
def test_what_others_reach_is_to_be_guarded(listen: str, tls: bool, callers: bool, level: Level):
    assert addresses.is_guarded(listen, tls=tls, callers=callers).level is level


def test_addresses_that_are_not_of_this_machine_fail():
    found = addresses.can_be_bound("--listen", "192.0.2.1:7788")
    assert (found.level, "address of this machine" in found.remedy) == (Level.FAIL, True)


def test_a_port_without_which_one_may_not_listen_fails(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(addresses.socket.socket, "bind", refuse, raising=False)
    found = addresses.can_be_bound("--listen", "127.0.0.1:80")
    assert (found.level, found.remedy) == (Level.FAIL, "Choose a port above 1023")


@pytest.mark.parametrize(
    ("listen", "level"),
    [
        ("localhost:1", Level.OK),
        ("127.0.0.1:1", Level.OK),
        ("0.0.0.0:1", Level.OK),
        ("127.0.0.2:1", Level.WARN),
        ("arena.example:1", Level.WARN),
    ],
)
def test_a_certificate_for_another_name_is_a_warning(tmp_path: Path, listen: str, level: Level):
    own = Authority(tmp_path).server()
    found = secrets.certificates(own.certificate, own.key, None, listen)
    assert next(one for one in found if one.name == "tls names").level is level


def test_a_certificate_without_names_fails(tmp_path: Path):
    own = Authority(tmp_path).client()
    found = secrets.certificates(own.certificate, own.key, None, "127.0.0.1:1")
    assert next(one for one in found if one.name == "tls names").level is Level.FAIL


def test_a_star_stands_for_one_label(tmp_path: Path):
    own = Authority(tmp_path).client(domains=("*.arena.example",))

    def level(listen: str) -> Level:
        found = secrets.certificates(own.certificate, own.key, None, listen)
        return next(one for one in found if one.name == "tls names").level

    assert level("eu.arena.example:1") is Level.OK
    assert level("a.eu.arena.example:1") is Level.WARN
    assert level("arena.example:1") is Level.WARN


def test_where_packages_do_not_fit_nothing_else_is_looked_at(monkeypatch: pytest.MonkeyPatch):
    from recarena.server.cli.doctor import findings

    versions(monkeypatch, numpy="1.26.4")
    names = [one.name for one in findings("127.0.0.1:1", Path("runs"))]
    assert names[:4] == ["python", "packages", "dependencies", "protos"]
    assert all(name.startswith("extra") for name in names[4:])


def test_a_file_that_only_its_group_may_read_is_fine():
    mode = SimpleNamespace(st_mode=0o100640)
    path = SimpleNamespace(stat=lambda: mode)
    assert secrets._others_may_read(path) == ""


def test_llm_minds_need_packages_a_key_and_a_server_that_answers(monkeypatch: pytest.MonkeyPatch):
    (one,) = models.minds(llm=False, urls=())
    assert (one.level, one.text) == (Level.OK, "not asked for")
    with socket.create_server(("127.0.0.1", 0)) as there:
        url = f"http://127.0.0.1:{there.getsockname()[1]}/v1"
        keys, first, second = models.minds(llm=True, urls=[url, "localhost:8000"])
    assert (keys.level, "no key" in keys.text) == (Level.NOTE, True)
    assert "ANTHROPIC_API_KEY or OPENAI_API_KEY" in keys.remedy
    assert (first.level, second.level) == (Level.OK, Level.FAIL)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    keys, gone = models.minds(llm=True, urls=[url])
    assert (keys.level, keys.text) == (Level.OK, "OPENAI_API_KEY set")
    assert gone.level is Level.WARN
    monkeypatch.setattr(models, "import_sdks", _not_installed)
    (missing,) = models.minds(llm=True, urls=())
    assert (missing.level, "recarena-server[llm]" in missing.remedy) == (Level.FAIL, True)


def _not_installed() -> None:
    raise InputError("no packages", remedy="Install recarena-server[llm]")
