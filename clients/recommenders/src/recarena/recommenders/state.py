"""State files: what a recommender learned, kept in a folder from one start to the next."""

from __future__ import annotations

import hashlib
import io
import json
import os
import weakref
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

FORMAT, VERSION = "recarena-recommender-state", 1
HEADER = "header"
"""Entry of the file that holds the header, beside those of the arrays."""
BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, EOFError)
"""What reading a file that is not as it was written raises."""

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


class StateError(ValueError):
    """A state file or its folder cannot be used; says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Whose state a file is, and how far it goes."""

    recommender: str
    """Name in the roster."""
    recommender_id: str
    catalog: str
    """See `catalog_hash`."""
    run_id: str
    epoch: int
    columnar: bool
    opened: int
    """The round that was opened last: all feedback of earlier rounds is contained, once."""
    strangers: int
    """Rows of users below it are of earlier runs."""

    def same_run(self, run_id: str, epoch: int) -> bool:
        """Whether it was saved in this run."""
        return (self.run_id, self.epoch) == (run_id, epoch)


class StateFolder:
    """The state files of one recommender id: one for each catalogue. Only one process at a time
    may have them."""

    def __init__(self, folder: Path, recommender: str, recommender_id: str) -> None:
        """Creates the folder where it is missing.

        Raises:
            StateError: it cannot be written to, or another process keeps its state there.
        """
        self._folder, self.recommender, self.recommender_id = folder, recommender, recommender_id
        stem = quote(recommender_id, safe="")[:60]
        self._stem = f"{stem}-{hashlib.sha256(recommender_id.encode()).hexdigest()[:8]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = locked(folder / f"{self._stem}.lock")
        except BlockingIOError:
            raise StateError(
                f"state folder {folder}: another process keeps the state of {recommender_id!r}"
                " there; stop it, or give each its own --state or --id"
            ) from None
        except OSError as error:
            raise StateError(
                f"state folder {folder} cannot be used ({error.strerror}); give another --state"
            ) from None
        self._release = weakref.finalize(self, os.close, lock)

    def path(self, catalog: str) -> Path:
        """The file for a catalogue."""
        return self._folder / f"{self._stem}-{catalog[:16]}.npz"

    def load(self, catalog: str) -> tuple[Header, Arrays] | None:
        """What was saved for a catalogue, None: nothing yet.

        Raises:
            StateError: the file is damaged, of another program or recommender, or of a later
                version.
        """
        path = self.path(catalog)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"state file {path} cannot be read ({error.strerror})") from None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays: dict[str, NDArray[Any]] = {name: file[name] for name in file.files}
            said: dict[str, Any] = json.loads(arrays.pop(HEADER).tobytes())
            ours, version = said.pop("format") == FORMAT, int(said.pop("version"))
            header = Header(**said) if ours and version == VERSION else None
        except BROKEN:
            raise self._unusable(path, "is damaged, or no state file") from None
        if not ours:
            raise self._unusable(path, "is no state file of a recommender")
        if header is None:
            raise self._unusable(path, f"has version {version}, this program reads {VERSION}")
        wanted = (self.recommender, self.recommender_id, catalog)
        if (header.recommender, header.recommender_id, header.catalog) != wanted:
            raise self._unusable(
                path,
                f"is of recommender {header.recommender!r} (id {header.recommender_id!r}), not of"
                f" {self.recommender!r} (id {self.recommender_id!r}) and this catalogue",
            )
        return header, arrays

    def save(self, header: Header, arrays: Arrays) -> None:
        """Replaces the file of the header's catalogue, whole or not at all.

        Raises:
            StateError: it cannot be written.
        """
        path = self.path(header.catalog)
        said = {"format": FORMAT, "version": VERSION, **asdict(header)}
        entries = {**arrays, HEADER: np.frombuffer(json.dumps(said).encode(), np.uint8)}
        partial = path.with_suffix(".tmp")
        try:
            with partial.open("wb") as file:
                np.savez(file, allow_pickle=False, **entries)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise StateError(f"state file {path} cannot be written ({error.strerror})") from None

    def close(self) -> None:
        """Lets another process have the state."""
        self._release()

    @staticmethod
    def _unusable(path: Path, what: str) -> StateError:
        return StateError(
            f"state file {path} {what}; it was left as it is: move it away to start from nothing,"
            " or give another --state"
        )


def locked(path: Path) -> int:
    """Descriptor of the file, locked for as long as it is open. BlockingIOError: somebody else has
    it. Where the system has no such locks, nothing is locked."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl: Any = import_module("fcntl")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError:
        os.close(file)
        raise
    return file


def catalog_hash(item_ids: Sequence[str]) -> str:
    """Hash of the ids in their order."""
    return hashlib.sha256(json.dumps(list(item_ids)).encode()).hexdigest()


def packed(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Texts as an array."""
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def unpacked(array: NDArray[Any]) -> list[str]:
    """The inverse of `packed`."""
    return json.loads(array.tobytes())
