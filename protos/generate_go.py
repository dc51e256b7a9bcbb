"""Generate the Go package `recarenapb` from the protos beside this file.

    python protos/generate_go.py            write clients/go/recarenapb
    python protos/generate_go.py --check    write nothing; fail when it is out of date

Run it with the project's environment: protoc comes from there, its plugins from clients/go/go.mod,
which pins them as tools.
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
CLIENT = PROTOS.parent / "clients" / "go"
COMMITTED = CLIENT / "recarenapb"
MODULE = "github.com/recarena/recarena/clients/go"
PLUGINS = (
    "google.golang.org/protobuf/cmd/protoc-gen-go",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate the Go client's messages and stubs.")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    check: bool = parser.parse_args().check
    if shutil.which("go") is None:
        print("clients/go/recarenapb skipped: needs Go 1.24 or newer (go was not found)")
        return 1 if os.environ.get("RECARENA_REQUIRE_ALL") == "1" else 0
    with tempfile.TemporaryDirectory(prefix="recarena-protos-") as folder:
        fresh = generate(Path(folder))
        return compare(fresh) if check else replace(fresh)


def generate(target: Path) -> Path:
    """The folder in `target` into which the package was written."""
    plugins = target / "plugins"
    plugins.mkdir()
    run(["go", "build", "-C", str(CLIENT), "-o", f"{plugins}{os.sep}", *PLUGINS])
    sources = sorted((PROTOS / "recarena" / "v1").glob("*.proto"))
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        *(f"--plugin={plugin.stem}={plugin}" for plugin in sorted(plugins.iterdir())),
        f"--proto_path={PROTOS}",
        f"--proto_path={sysconfig.get_path('purelib')}",  # google/rpc
        f"--go_out={target}",
        f"--go_opt=module={MODULE}",
        f"--go-grpc_out={target}",
        f"--go-grpc_opt=module={MODULE}",
        *(str(path.relative_to(PROTOS)) for path in sources),
    ]
    run(command)
    return target / COMMITTED.name


def run(command: list[str]) -> None:
    """Runs a command, whose failure is the end."""
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise SystemExit(done.returncode)


def read(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(root.glob("*.pb.go"))}


def replace(fresh: Path) -> int:
    new, old = read(fresh), read(COMMITTED)
    COMMITTED.mkdir(exist_ok=True)
    for name in old.keys() - new.keys():
        (COMMITTED / name).unlink()
    changed = [name for name, text in new.items() if old.get(name) != text]
    for name in changed:
        (COMMITTED / name).write_text(new[name])
    print(f"clients/go/recarenapb: {len(new)} files, {len(changed)} changed")
    return 0


def compare(fresh: Path) -> int:
    new, old = read(fresh), read(COMMITTED)
    stale = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
    if not stale:
        print(f"clients/go/recarenapb is up to date ({len(new)} files)")
        return 0
    print(f"clients/go/recarenapb is out of date: {', '.join(stale)}")
    print("run `python protos/generate_go.py` and commit what it writes")
    return 1


if __name__ == "__main__":
    sys.exit(main())
