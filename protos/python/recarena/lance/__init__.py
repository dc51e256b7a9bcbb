"""LanceDB, quick to start: `from recarena.lance import lancedb`.

Half of what `import lancedb` takes goes into the client of a remote catalogue service, whose
package loads all of itself when one of its messages is named. RecArena's tables are folders. Here
that package loads its parts one by one, and the whole of itself when something asks for the whole.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

__all__ = ["FTS", "lancedb"]

REMOTE = "lance_namespace_urllib3_client"


def load_by_parts(name: str) -> None:
    """Lets `name.part` be imported without the rest of the package `name`. What the package itself
    has is still found: it is imported as a whole as soon as it is asked for. Does nothing where it
    is imported already, or not installed."""
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    package = importlib.util.module_from_spec(spec)

    def found(attribute: str) -> Any:
        if sys.modules.get(name) is package:
            del sys.modules[name]
        return getattr(importlib.import_module(name), attribute)

    package.__dict__["__getattr__"] = found
    sys.modules[name] = package


load_by_parts(REMOTE)

import lancedb  # noqa: E402  (after what makes it quick)
from lancedb.index import FTS  # noqa: E402
