"""The versions of a run's catalogue, as one arm's sessions get to know them."""

from __future__ import annotations

from collections.abc import Callable

from recarena.server.catalog import Catalog
from recarena.server.types import Ints
from recarena.v1 import session_pb2

MAX_NAMED = 1000
"""Items that CatalogChanged names; where more changed, all have to be read."""
Offer = Callable[[Catalog], Catalog]
"""Makes the catalogue, as it is now, one that can be loaded; returns it as it is loaded, which
never changes."""


class Editions:
    """Which version is in force, and what changed since each of those before. The catalogue of the
    run may be ahead: a version is in force when it was announced."""

    def __init__(self, catalog: Catalog, offer: Offer) -> None:
        """`catalog`: the run's own."""
        self._catalog, self._offer = catalog, offer
        self.current = offer(catalog)
        """As it stays for all who load it."""
        self._changes: list[tuple[str, frozenset[int]]] = []
        """(a version that was in force, numbers of the items that the next one changed)."""

    def renew(self, changed: Ints) -> bool:
        """Puts the catalogue of the run in force as it is now; whether that is another version."""
        before = self.current.version
        self.current = self._offer(self._catalog)
        if self.current.version == before:
            return False
        self._changes.append((before, frozenset(changed.tolist())))
        return True

    def since(self, version: str) -> session_pb2.CatalogChanged:
        """The message for a session that knows the catalogue by this version."""
        return session_pb2.CatalogChanged(
            catalog_version=self.current.version,
            catalog_size=len(self.current),
            changed_items=self._changed(version),
        )

    def _changed(self, version: str) -> list[int]:
        """Numbers of the items that changed since; empty where it is not known, or too many did."""
        found: set[int] = set()
        for before, changed in reversed(self._changes):
            found |= changed
            if len(found) > MAX_NAMED:
                return []
            if before == version:
                return sorted(found)
        return []
