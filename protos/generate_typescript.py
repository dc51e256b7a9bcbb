"""Generate what the TypeScript client needs of the protos beside this file.

    python protos/generate_typescript.py            write clients/typescript/src/gen
    python protos/generate_typescript.py --check    write nothing; fail when it is out of date

Run it with the project's environment, after `make clients`: protoc comes from the former, and its
plugin, at the version of clients/typescript/package-lock.json, from the latter.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
CLIENT = PROTOS.parent / "clients" / "typescript"
COMMITTED = CLIENT / "src" / "gen"
PLUGIN = CLIENT / "node_modules" / ".bin" / "protoc-gen-es"
# What a recommender speaks of; runs are driven and observed by others.
SOURCES = [
    "google/rpc/status.proto",
    *(
        f"recarena/v1/{name}.proto"
        for name in ("access", "feedback", "recommender_service", "session", "types", "work")
    ),
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate the TypeScript client's messages.")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    check: bool = parser.parse_args().check
    missing = what_is_missing()
    if missing:
        print(f"clients/typescript/src/gen skipped: {missing}")
        return 1 if os.environ.get("RECARENA_REQUIRE_ALL") == "1" else 0
    with tempfile.TemporaryDirectory(prefix="recarena-protos-") as folder:
        fresh = Path(folder)
        generate(fresh)
        return compare(fresh) if check else replace(fresh)


def what_is_missing() -> str:
    if shutil.which("node") is None:
        return "needs Node 20 or newer (node was not found)"
    if not PLUGIN.exists():
        return "needs the plugin of protoc: run `make clients`"
    return ""


def generate(target: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--plugin=protoc-gen-es={PLUGIN}",
        f"--proto_path={PROTOS}",
        f"--proto_path={sysconfig.get_path('purelib')}",  # google/rpc
        f"--es_out={target}",
        "--es_opt=target=ts,import_extension=js",
        *SOURCES,
    ]
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def read(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.ts"))}


def replace(fresh: Path) -> int:
    new, old = read(fresh), read(COMMITTED)
    for name in old.keys() - new.keys():
        (COMMITTED / name).unlink()
    changed = [name for name, text in new.items() if old.get(name) != text]
    for name in changed:
        (COMMITTED / name).parent.mkdir(parents=True, exist_ok=True)
        (COMMITTED / name).write_text(new[name])
    print(f"clients/typescript/src/gen: {len(new)} files, {len(changed)} changed")
    return 0


def compare(fresh: Path) -> int:
    new, old = read(fresh), read(COMMITTED)
    stale = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
    if not stale:
        print(f"clients/typescript/src/gen is up to date ({len(new)} files)")
        return 0
    print(f"clients/typescript/src/gen is out of date: {', '.join(stale)}")
    print("run `python protos/generate_typescript.py` and commit what it writes")
    return 1


if __name__ == "__main__":
    sys.exit(main())
