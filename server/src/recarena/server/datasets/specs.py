"""Worlds by one word: a folder, or what to make up."""

from __future__ import annotations

import re
from pathlib import Path

from recarena.server.datasets.world_data import WorldData
from recarena.server.errors import InputError, NotFound

FORMS = (
    "A world is a folder made by `recarena world new` or `recarena world import`, or "
    "`new:users=200,seed=1`, or `planted:users=200,items=500,seed=1`"
)

_KINDS: dict[str, dict[str, int]] = {
    "new": {"users": 200, "seed": 1, "history": 20},
    "planted": {"users": 200, "items": 500, "seed": 1},
}


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
    values = dict(_KINDS[kind])
    for piece in filter(None, rest.split(",")):
        name, equals, number = piece.partition("=")
        if not equals or name not in values or not re.fullmatch(r"\d{1,18}", number):
            known = ", ".join(f"{one}=NUMBER" for one in values)
            raise InputError(f"{piece!r} in {spec!r}", where="world", remedy=f"Known: {known}")
        values[name] = int(number)
    if kind == "planted":
        from recarena.server.datasets.planted import planted_world

        return planted_world(values["users"], values["items"], values["seed"])
    from recarena.server.datasets.generate import generate_world

    return generate_world(values["users"], values["seed"], history_per_user=values["history"])
