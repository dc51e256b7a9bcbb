"""Build the clients in other languages, where their tools are: `make clients`.

    python clients/build.py [LANGUAGE...]        build what is not up to date
    python clients/build.py --lenient            go on where one cannot be built, and say so

A language whose tools are missing is skipped with the reason, and so are its tests; with
RECARENA_REQUIRE_ALL=1 that is a failure.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLIENTS = Path(__file__).resolve().parent
PROTOS = CLIENTS.parent / "protos" / "recarena" / "v1"
STAMP = ".built"
NOT_SOURCES = {"node_modules", "dist", "build", "target", STAMP, "test-results"}


@dataclass(frozen=True, slots=True)
class Language:
    """How the client of a language is built."""

    name: str
    tools: tuple[str, ...]
    remedy: str
    """What to install where a tool is missing."""
    commands: tuple[tuple[str, ...], ...]
    output: str
    """Folder that the commands fill."""
    co_occurrence: str
    """Command of its co-occurrence recommender, from the root of the checkout."""

    @property
    def folder(self) -> Path:
        """Where the client is."""
        return CLIENTS / self.name

    @property
    def stamp(self) -> Path:
        """Holds the digest of the sources that were built last."""
        return self.folder / self.output / STAMP

    def missing(self) -> str:
        """The first tool that is not there; empty where all are."""
        return next((tool for tool in self.tools if shutil.which(tool) is None), "")

    def digest(self) -> str:
        """Of all sources, and of the protos."""
        hashed = hashlib.sha256()
        for path in sorted((*self._sources(), *PROTOS.glob("*.proto"))):
            hashed.update(f"{path.relative_to(CLIENTS.parent)}\n".encode())
            hashed.update(path.read_bytes())
        return hashed.hexdigest()

    def _sources(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self.folder):
            folders[:] = [one for one in folders if one not in NOT_SOURCES]
            yield from (Path(folder) / one for one in files if not one.endswith(".md"))

    def is_built(self, digest: str) -> bool:
        """Whether just these sources were built."""
        return self.stamp.is_file() and self.stamp.read_text() == digest

    def build(self, digest: str) -> bool:
        """Runs the commands; whether all of them went well."""
        for command in self.commands:
            print(f"{self.name}: {' '.join(command)}", flush=True)
            program = shutil.which(command[0]) or command[0]
            if subprocess.run([program, *command[1:]], cwd=self.folder, check=False).returncode:
                return False
        self.stamp.parent.mkdir(exist_ok=True)
        self.stamp.write_text(digest)
        return True


LANGUAGES = {
    one.name: one
    for one in (
        Language(
            "typescript",
            ("node", "npm"),
            "Node 20 or newer with npm",
            (
                ("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"),
                ("npm", "run", "--silent", "build"),
            ),
            "dist",
            "node clients/typescript/dist/examples/co-occurrence.js",
        ),
        Language(
            "go",
            ("go",),
            "Go 1.24 or newer",
            (
                ("go", "vet", "./..."),
                ("go", "build", "-o", "build/", "./..."),
                ("go", "test", "-c", "-o", "build/", "./..."),
            ),
            "build",
            "clients/go/build/co-occurrence",
        ),
        Language(
            "java",
            ("javac", "mvn"),
            "a JDK (17 or newer) and Maven",
            (("mvn", "-q", "-B", "package", "-DskipTests"),),
            "target",
            "clients/java/bin/co-occurrence",
        ),
    )
}


def main() -> int:
    """Exit code 0: all that could be built is; 1: a build failed, or a tool had to be there."""
    parser = argparse.ArgumentParser(description="Build the clients in other languages.")
    parser.add_argument("languages", nargs="*", choices=[*LANGUAGES, []], metavar="LANGUAGE")
    parser.add_argument("--lenient", action="store_true", help="a build that fails is only told")
    given = parser.parse_args()
    strict = os.environ.get("RECARENA_REQUIRE_ALL") == "1"
    failed = False
    for one in (LANGUAGES[name] for name in given.languages or LANGUAGES):
        if tool := one.missing():
            print(f"{one.name}: skipped, there is no {tool} here (it needs {one.remedy})")
            failed |= strict
            continue
        if one.is_built(digest := one.digest()):
            continue
        started = time.monotonic()
        if one.build(digest):
            print(f"{one.name}: built in {time.monotonic() - started:.0f} s")
        else:
            print(f"{one.name}: the build failed; its tests will be skipped", file=sys.stderr)
            failed |= strict or not given.lenient
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
