"""Checks of what is installed: Python, packages, generated code, extras."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib import import_module, metadata

from recarena.server.cli.checks import Finding, Level

OWN = ("recarena-protocol", "recarena-server", "recarena-client", "recarena-recommenders",
       "recarena-evaluation")  # fmt: skip
NEEDED = ("recarena-protocol", "recarena-server")
"""Those without which there is no server."""
GENERATED = (
    "recarena.v1.recommender_service_pb2_grpc",
    "recarena.v1.simulation_control_service_pb2_grpc",
    "recarena.v1.simulation_inquiry_service_pb2_grpc",
    "recarena.v1.simulation_observe_service_pb2_grpc",
)
OLDEST_PYTHON = (3, 11)
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[.*?\])?\s*([^;]*?)\s*(?:;\s*(.*))?")
EXTRA = re.compile(r"extra\s*==\s*['\"](.+)['\"]")


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a distribution needs: a name, bounds of its version, and the extra it is for."""

    name: str
    bounds: tuple[tuple[str, str], ...]
    extra: str = ""

    def problem(self) -> str:
        """What is wrong with what is installed, "" for nothing."""
        try:
            found = metadata.version(self.name)
        except metadata.PackageNotFoundError:
            return f"{self.name} is not installed"
        for sign, bound in self.bounds:
            if not _within(found, sign, bound):
                return f"{self.name} {found} is installed, {sign}{bound} is needed"
        return ""


def requirements_of(distribution: str) -> list[Requirement]:
    """What its metadata says; what only some platforms or Pythons need is left out."""
    found: list[Requirement] = []
    for line in metadata.requires(distribution) or ():
        parts = REQUIREMENT.fullmatch(line)
        extra = EXTRA.fullmatch(parts[3]) if parts and parts[3] else None
        if not parts or (parts[3] and not extra):
            continue
        bounds = re.findall(r"(>=|<=|==|!=|<|>)\s*([\w.]+)", parts[2])
        found.append(Requirement(parts[1], tuple(bounds), extra[1] if extra else ""))
    return found


def _within(version: str, sign: str, bound: str) -> bool:
    here, there = _release(version), _release(bound)
    length = max(len(here), len(there))
    here, there = (one + (0,) * (length - len(one)) for one in (here, there))
    return {
        ">=": here >= there, "<=": here <= there, ">": here > there, "<": here < there,
        "==": here == there, "!=": here != there,
    }[sign]  # fmt: skip


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, without what marks it as early, late or local."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(one) for one in numbers[0].split(".")) if numbers else (0,)


def python_version() -> Finding:
    """Whether this Python is new enough."""
    text = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return Finding("python", Level.OK, text)
    needed = ".".join(map(str, OLDEST_PYTHON))
    remedy = f"Make the environment again with Python {needed} or newer"
    return Finding("python", Level.FAIL, f"{text}, {needed} is needed", remedy)


def own_packages() -> Finding:
    """Whether RecArena's own packages are of one version."""
    versions: dict[str, str] = {}
    for name in OWN:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in NEEDED:
                remedy = "Install RecArena again: pip install recarena-server"
                return Finding("packages", Level.FAIL, f"{name} is not installed", remedy)
    if len(set(versions.values())) == 1:
        return Finding("packages", Level.OK, f"recarena {versions['recarena-server']}")
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    remedy = "Install the same version of all of them"
    return Finding("packages", Level.FAIL, f"several versions: {text}", remedy)


def dependencies() -> Finding:
    """Whether what they need is there, as new as they need it."""
    own = [name for name in OWN if _is_installed(name)]
    needed = [one for name in own for one in requirements_of(name) if not one.extra]
    problems = sorted({problem for one in needed if (problem := one.problem())})
    if problems:
        remedy = "pip install --require-hashes -r requirements.lock"
        return Finding("dependencies", Level.FAIL, "; ".join(problems), remedy)
    count = len({one.name for one in needed})
    return Finding("dependencies", Level.OK, f"all {count} are as new as needed")


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def generated_code() -> Finding:
    """Whether the code generated from the protos runs with these gRPC and protobuf."""
    try:
        for module in GENERATED:
            import_module(module)
    except Exception as error:  # noqa: BLE001  # what a generated module raises is its own affair
        remedy = "pip install --upgrade grpcio protobuf"
        return Finding("protos", Level.FAIL, str(error).split(". ")[0], remedy)
    text = f"grpcio {metadata.version('grpcio')}, protobuf {metadata.version('protobuf')}"
    return Finding("protos", Level.OK, f"generated code fits {text}")


def extras() -> list[Finding]:
    """Which optional parts are there."""
    needed: dict[str, list[Requirement]] = {}
    for one in requirements_of("recarena-server"):
        if one.extra:
            needed.setdefault(one.extra, []).append(one)
    found: list[Finding] = []
    for extra, parts in sorted(needed.items()):
        problems = [problem for one in parts if (problem := one.problem())]
        remedy = f"If you want it: pip install 'recarena-server[{extra}]'"
        if not problems:
            found.append(Finding(f"extra {extra}", Level.OK, "installed"))
        elif len(problems) == len(parts):
            found.append(Finding(f"extra {extra}", Level.NOTE, "not installed", remedy))
        else:
            found.append(Finding(f"extra {extra}", Level.WARN, "; ".join(problems), remedy))
    return found
