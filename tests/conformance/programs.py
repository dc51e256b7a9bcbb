"""The program of each language that the script is played with: a line each."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / "clients"
JAVA = CLIENTS / "java/target/lib/recarena-conformance.jar"
PROGRAMS: dict[str, list[str]] = {
    "python": [sys.executable, str(HERE / "recommender.py")],
    "go": [str(CLIENTS / "go/build/conformance")],
    "typescript": ["node", str(CLIENTS / "typescript/dist/conformance/recommender.js")],
    # It lives for a second or two: so it starts with an archive of its classes, and compiles once.
    "java": ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
             f"-XX:SharedArchiveFile={JAVA.with_suffix('.jsa')}", "-jar", str(JAVA)],
}  # fmt: skip
"""Language -> how its probe program is started; the kit's README says what it must do."""
RECOMMENDERS: dict[str, list[str]] = {
    "python": [sys.executable, str(CLIENTS / "python/examples/co_occurrence.py")],
    "go": [str(CLIENTS / "go/build/co-occurrence")],
    "typescript": ["node", str(CLIENTS / "typescript/dist/examples/co-occurrence.js")],
    "java": [str(CLIENTS / "java/bin/co-occurrence")],
}
"""Language -> how its co-occurrence recommender is started, with `--server HOST:PORT` after it."""


def unbuilt(language: str) -> str:
    """Why programs of a language cannot be started here, with the remedy; empty where they can."""
    for word in [*PROGRAMS[language], *RECOMMENDERS[language]]:
        if word.startswith(str(CLIENTS)) and not Path(word).exists():
            return f"{Path(word).relative_to(CLIENTS.parent)} is not built: run `make clients`"
    tool = PROGRAMS[language][0]
    return "" if shutil.which(tool) else f"there is no {tool} here, which {language} needs"
