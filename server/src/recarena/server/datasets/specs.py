"""Worlds by one word: a folder, or what to make up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError, NotFound

FORMS = (
    "A world is a folder made by `recarena world new` or `recarena world import`, or "
    "`new:users=200,seed=1`, or `planted:users=200,items=500,seed=1`"
)

_KINDS: dict[str, dict[str, int | float | None]] = {
    "new": {"users": 200, "seed": 1, "history": 20},
    "planted": {
        "users": 200, "items": 500, "seed": 1, "communities": 6, "history": None,
        "groups": 0, "edges": 0, "influence": None, "fatigue": None, "credulity": None,
    },
}  # fmt: skip
"""What can be made up, with what can be said of it and the defaults."""
_STRENGTHS = ("influence", "fatigue", "credulity")
"""Numbers that need not be whole."""


def open_world(spec: str) -> WorldData:
    """The world of a folder, or one made up: `new:...`, `planted:...`. InputError, NotFound."""
    kind, colon, rest = spec.partition(":")
    if colon and kind in _KINDS:
        return _made_up(kind, rest, spec)
    if not spec:
        raise InputError("no world is named", where="world", remedy=FORMS)
    path = Path(spec)
    if not path.is_dir():
        raise NotFound(f"no world at {spec!r}. {FORMS}")
    from recarena.server.datasets.world_folder import load_world

    return load_world(path)


def _made_up(kind: str, rest: str, spec: str) -> WorldData:
    values: dict[str, Any] = dict(_KINDS[kind])
    for piece in filter(None, rest.split(",")):
        name, equals, number = piece.partition("=")
        form = r"\d{1,6}(\.\d{1,6})?" if name in _STRENGTHS else r"\d{1,18}"
        if not equals or name not in values or not re.fullmatch(form, number):
            known = ", ".join(f"{one}=NUMBER" for one in values)
            raise InputError(f"{piece!r} in {spec!r}", where="world", remedy=f"Known: {known}")
        values[name] = float(number) if name in _STRENGTHS else int(number)
    if kind == "planted":
        from recarena.server.datasets.planted import planted_world
        from recarena.server.datasets.planting import Planting

        return planted_world(
            values["users"], values["items"], values["seed"], values["communities"],
            history_per_user=values["history"],
            planting=Planting(
                values["groups"], values["edges"], *(values[name] for name in _STRENGTHS)
            ),
        )  # fmt: skip
    from recarena.server.datasets.generate import generate_world

    return generate_world(values["users"], values["seed"], history_per_user=values["history"])
