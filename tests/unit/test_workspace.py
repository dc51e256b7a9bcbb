"""The workspace holds together: one namespace, light clients, pinned dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = {
    "protos": "protos/python",
    "clients/python": "clients/python/src",
    "clients/recommenders": "clients/recommenders/src",
    "clients/bridge": "clients/bridge/src",
    "clients/conformance": "clients/conformance/src",
    "clients/observatory": "clients/observatory/src",
    "server": "server/src",
    "evaluation": "evaluation/src",
}


def pyproject(folder: str) -> dict:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())


def locked() -> dict[str, str]:
    """Each requirement of the lock, by name, with its whole entry."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {re.match(r"[\w.-]+", entry).group().lower(): entry for entry in entries}


def test_the_workspace_has_exactly_these_distributions():
    assert pyproject(".")["tool"]["uv"]["workspace"]["members"] == list(NAMESPACES)


@pytest.mark.parametrize("folder", NAMESPACES)
def test_the_namespace_belongs_to_no_distribution(folder: str):
    assert not (ROOT / NAMESPACES[folder] / "recarena" / "__init__.py").exists()


@pytest.mark.parametrize("folder", NAMESPACES)
def test_every_package_says_that_it_is_typed(folder: str):
    packages = [
        path.parent for path in (ROOT / NAMESPACES[folder] / "recarena").glob("*/__init__.py")
    ]
    assert packages
    assert [path for path in packages if not (path / "py.typed").exists()] == []


@pytest.mark.parametrize("folder", NAMESPACES)
def test_every_distribution_is_installed_from_this_tree(folder: str):
    project = pyproject(folder)["project"]
    assert distribution(project["name"]).version == project["version"]


def test_all_distributions_have_the_same_version():
    assert len({pyproject(folder)["project"]["version"] for folder in NAMESPACES}) == 1


def test_the_client_loads_neither_numpy_nor_the_server():
    program = (
        "import sys, recarena.client\n"
        "heavy = ('numpy', 'pyarrow', 'lancedb', 'recarena.server', 'recarena.evaluation')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


def test_the_lock_names_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert re.findall(r"\S*://\S*|^-.*|.*@ .*", text, re.M) == []


def test_the_lock_pins_every_requirement_by_hash():
    unpinned = [
        name
        for name, entry in locked().items()
        if "==" not in entry or "--hash=sha256:" not in entry
    ]
    assert unpinned == []


def test_the_lock_holds_every_dependency_and_none_of_our_own():
    names = set(locked())
    wanted = list(pyproject(".")["dependency-groups"]["dev"])
    for folder in NAMESPACES:
        project = pyproject(folder)["project"]
        wanted += project["dependencies"]
        for extra in project.get("optional-dependencies", {}).values():
            wanted += extra
    third_party = {re.match(r"[\w.-]+", line).group().lower() for line in wanted}
    third_party = {name for name in third_party if not name.startswith("recarena-")}
    assert third_party - names == set()
    assert {name for name in names if name.startswith("recarena")} == set()
