"""The program of each language that the script is played with: a line each."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS: dict[str, list[str]] = {
    "python": [sys.executable, str(HERE / "recommender.py")],
}
"""Language -> how its program is started; README.md says what it must do."""
