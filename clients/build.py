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
import re
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
    version: tuple[str, ...]
    """Command that prints the version of the first tool; the first number in it is compared."""
    oldest: tuple[int, int]
    """Version of the first tool that is needed."""
    remedy: str
    """What to install where a tool is missing or too old."""
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
        """Why it cannot be built here: a tool is not there, or too old. Empty where it can."""
        for tool in self.tools:
            if shutil.which(tool) is None:
                return f"there is no {tool} here"
        said = subprocess.run(self.version, capture_output=True, text=True, check=False).stdout
        found = re.search(r"(\d+)\.(\d+)", said)
        if found and (int(found[1]), int(found[2])) < self.oldest:
            return f"{self.tools[0]} is too old ({found[0]})"
        return ""

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
            done = subprocess.run(
                [program, *command[1:]], cwd=self.folder, check=False, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if done.returncode:
                print(done.stdout, end="", file=sys.stderr)
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
            ("node", "--version"),
            (20, 0),
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
            ("go", "version"),
            (1, 21),  # which fetches the newer one that go.mod asks for
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
            ("javac", "--version"),
            (17, 0),
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
        if why := one.missing():
            print(f"{one.name}: skipped, {why} (it needs {one.remedy})")
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
