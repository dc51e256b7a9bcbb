"""Language models that have read a data set, or have not: minds for the stub."""

from __future__ import annotations

import json
from collections.abc import Callable

from recarena.server.datasets.films import film_catalog
from support.llm_stub.asking import Asked, Mind


def titled(title: Callable[[str], str]) -> Mind:
    """Answers recall questions by id."""

    def answer(asked: Asked) -> str:
        assert asked.task == "recall"
        return json.dumps({"title": title(str(asked.data["id"]))})

    return answer


def knows_films(seed: int = 0) -> Mind:
    """Has read the films that ship with RecArena: writes them as people do, year and all."""
    catalog = film_catalog()
    labels = {one: catalog.label(item) for item, one in enumerate(catalog.item_ids)}
    return titled(labels.__getitem__)


def knows_one_film(seed: int = 0) -> Mind:
    """Gives the same title whatever it is asked."""
    return titled(lambda _: film_catalog().titles[0])


def knows_nothing(seed: int = 0) -> Mind:
    """Makes titles up."""
    return titled(lambda one: f"The Adventures of {one}")
