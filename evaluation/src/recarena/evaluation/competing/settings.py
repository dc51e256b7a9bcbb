"""What files and options say about a competition's runs."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from recarena.evaluation.competing.plan import BadPlan, Design, Split

Choice = TypeVar("Choice", bound=StrEnum)


def read_settings(path: Path) -> dict[str, Any]:
    """The tree of a TOML file (docs/configuration.md); the server looks at what stands in it.
    BadPlan names the file, and the line for bad syntax."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadPlan(f"--config: there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadPlan(f"--config: {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadPlan(f"--config: {path} is not TOML: {error}") from None


def choice_of(design: str, split: str) -> tuple[Design, Split]:
    """What --design and --split say. BadPlan names the choices."""
    return _one_of(Design, "--design", design), _one_of(Split, "--split", split)


def _one_of(kind: type[Choice], option: str, text: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise BadPlan(f"{option} is one of {known}, not {text!r}") from None
