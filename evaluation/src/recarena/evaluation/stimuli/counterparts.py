"""Triples whose explanations are compared with each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from recarena.evaluation.stimuli.triples import Triple


def beside(triples: Sequence[Triple]) -> list[tuple[Triple, Triple]]:
    """Pairs of triples of the same user of the same world, by different recommenders: the same
    item where both showed it, else other ones, each triple in at most one pair with each other
    recommender. The recommender whose name comes first is on the left."""
    found: list[tuple[Triple, Triple]] = []
    names = sorted({one.recommender for one in triples})
    by_user: dict[tuple[str, str, str], list[Triple]] = {}
    for one in triples:
        by_user.setdefault((one.recommender, one.world, one.user_id), []).append(one)
    for left, right in combinations(names, 2):
        for (recommender, world, user), mine in by_user.items():
            if recommender != left:
                continue
            free = list(by_user.get((right, world, user), ()))
            rest: list[Triple] = []
            for one in mine:
                same = next((other for other in free if other.item_id == one.item_id), None)
                if same is None:
                    rest.append(one)
                    continue
                found.append((one, same))
                free.remove(same)
            found += zip(rest, free, strict=False)
    return found
