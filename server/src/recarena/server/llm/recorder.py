"""The recording of a run: every answer that was paid for, and what each decision came to.

An SQLite file beside the tables. A call is found again by the hash of what was sent, so that a
killed run pays for none of its calls twice and a recorded run needs no provider.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from recarena.server.errors import InputError, RunPaused
from recarena.server.llm.calls import Asker, Outcome, Usage

FILE = "llm.sqlite"
"""Name of the recording in a run folder."""
VERSION = 1
COMMIT_AFTER_S = 0.003
"""Calls that come in within this time share one transaction."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    hash TEXT NOT NULL, sample INTEGER NOT NULL, round INTEGER, user INTEGER, purpose TEXT,
    step INTEGER, provider TEXT, model TEXT, prompt TEXT, request BLOB, status INTEGER,
    response BLOB, input INTEGER, output INTEGER, cache_read INTEGER, cache_write INTEGER,
    cost REAL, worst REAL, worst_tokens INTEGER, latency_ms REAL, paid INTEGER NOT NULL,
    PRIMARY KEY (hash, sample)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_user ON calls (round, user, paid, cost);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
    round INTEGER NOT NULL, user INTEGER NOT NULL, purpose TEXT NOT NULL, step INTEGER NOT NULL,
    source TEXT NOT NULL, failure TEXT, problem TEXT, calls INTEGER, input INTEGER, output INTEGER,
    cost REAL, hash TEXT, tolerated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (round, user, purpose, step)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
    embedder TEXT NOT NULL, hash TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (embedder, hash)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call as the recording has it."""

    status: int
    """HTTP status: 200, or that of a call which the provider would not take."""
    response: bytes
    usage: Usage
    cost: float | None
    worst: float | None = None
    """What was set aside for it: counts where the cost is unknown."""
    worst_tokens: int | None = None
    """The same in tokens."""


class Recorder:
    """One recording, open for reading and writing, or for reading only."""

    def __init__(
        self, path: Path | None, *, sync: bool = False, read_only: bool = False,
        salt: bytes | None = None,
    ) -> None:  # fmt: skip
        """InputError where the file is none of ours. None: in memory, gone with this object. With
        sync=True what is recorded survives a power cut, otherwise the end of the process. `salt`:
        of a new recording that takes calls from another one."""
        self.path = path or Path("(memory)")
        try:
            mode = "mode=ro" if read_only else "mode=rwc"
            where = f"file:{quote(str(path.absolute()))}?{mode}" if path else ":memory:"
            self._db = sqlite3.connect(where, uri=True, isolation_level=None)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise InputError(
                    f"the recording has format {version}, this release reads up to {VERSION}",
                    where=str(path), remedy="Update RecArena",
                )  # fmt: skip
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
                self._db.executescript(_SCHEMA)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
                self._db.execute(
                    "INSERT OR IGNORE INTO meta VALUES ('salt', ?)",
                    (salt or secrets.token_bytes(16),),
                )
            self.salt: bytes = self._db.execute(
                "SELECT value FROM meta WHERE name = 'salt'"
            ).fetchone()[0]
            """What the marks of quotations are made from: a secret of the recording, so that a
            recorder knows the marks of its own run and nobody else does."""
        except (sqlite3.Error, TypeError) as error:
            raise InputError(
                f"no recording of calls ({error})", where=str(path),
                remedy="Name a run folder whose users had LLM minds, or its llm.sqlite",
            ) from None  # fmt: skip
        self._written: asyncio.Future[None] | None = None

    def copy_to(self, path: Path, round: int) -> None:
        """A recording for a run that goes on from a round of this one, or begins anew (0): all
        calls, none of them paid for there, and the decisions up to the round."""
        self._commit()  # a copy would wait for an open transaction without end
        copy = sqlite3.connect(path)
        try:
            self._db.backup(copy)
            copy.execute("UPDATE calls SET paid = 0")
            copy.execute("DELETE FROM decisions WHERE round > ?", (round,))
            copy.commit()
        finally:
            copy.close()

    def close(self) -> None:
        """Writes what is left."""
        self._commit()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ calls

    def find(self, hash: str, sample: int = 0) -> Recorded | None:
        """A call by what was sent."""
        row = self._db.execute(
            "SELECT status, response, input, output, cache_read, cache_write, cost FROM calls "
            "WHERE hash = ? AND sample = ?",
            (hash, sample),
        ).fetchone()
        if row is None:
            return None
        usage = Usage(row[2], row[3], row[4] or 0, row[5] or 0)
        return Recorded(row[0], zlib.decompress(row[1]), usage, row[6])

    def request(self, hash: str, sample: int = 0) -> bytes | None:
        """What was sent in a call."""
        row = self._db.execute(
            "SELECT request FROM calls WHERE hash = ? AND sample = ?", (hash, sample)
        ).fetchone()
        return zlib.decompress(row[0]) if row else None

    async def keep(
        self,
        hash: str,
        call: Recorded,
        asker: Asker,
        *,
        request: bytes,
        provider: str,
        model: str,
        prompt: str,
        latency_ms: float,
        paid: bool = True,
        sample: int = 0,
    ) -> None:
        """Returns when the call is recorded: only then may it be used."""
        used = call.usage
        row = (
            hash, sample, asker.round, asker.user, asker.purpose, asker.step, provider, model,
            prompt, zlib.compress(request, 1), call.status, zlib.compress(call.response, 1),
            used.input, used.output, used.cache_read, used.cache_write, call.cost, call.worst,
            call.worst_tokens, latency_ms, int(paid),
        )  # fmt: skip
        written = self._put(f"INSERT OR IGNORE INTO calls VALUES ({','.join('?' * 21)})", row)
        await asyncio.shield(written)

    def decided(self, asker: Asker, outcome: Outcome[Any], tolerated: bool) -> None:
        """Notes what a decision came to, a moment later; the last word on each counts."""
        used = outcome.usage
        row = (
            asker.round, asker.user, asker.purpose, asker.step, str(outcome.source),
            str(outcome.failure) if outcome.failure else None, outcome.problem or None,
            outcome.calls, used.prompt, used.output, outcome.cost, outcome.request_hash,
            int(tolerated),
        )  # fmt: skip
        self._put(f"INSERT OR REPLACE INTO decisions VALUES ({','.join('?' * 13)})", row)

    def vectors(self, embedder: str, hashes: Iterable[str]) -> dict[str, bytes]:
        """Recorded vectors by the hash of their text."""
        found: dict[str, bytes] = {}
        for one in hashes:
            row = self._db.execute(
                "SELECT vector FROM vectors WHERE embedder = ? AND hash = ?", (embedder, one)
            ).fetchone()
            if row:
                found[one] = row[0]
        return found

    async def keep_vectors(self, embedder: str, vectors: dict[str, bytes]) -> None:
        """Returns when vectors are recorded, by the hash of their text."""
        statement = "INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)"
        written = {self._put(statement, (embedder, *one)) for one in vectors.items()}
        for one in written:
            await asyncio.shield(one)

    def _put(self, statement: str, row: tuple[Any, ...]) -> asyncio.Future[None]:
        """One row; its transaction closes a moment later, with those that come in until then, and
        the future is done when it has."""
        try:
            if self._written is None:
                loop = asyncio.get_running_loop()
                self._db.execute("BEGIN IMMEDIATE")
                self._written = loop.create_future()
                # A failure is told to those who wait; nobody may.
                self._written.add_done_callback(asyncio.Future.exception)
                loop.call_later(COMMIT_AFTER_S, self._commit)
            self._db.execute(statement, row)
        except sqlite3.Error as error:
            raise self._cannot(error) from None
        return self._written

    def _commit(self) -> None:
        written, self._written = self._written, None
        if written is None:
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if not written.done():
                written.set_exception(self._cannot(error))
            return
        if not written.done():
            written.set_result(None)

    def _cannot(self, error: sqlite3.Error) -> RunPaused:
        return RunPaused(
            f"{self.path}: calls cannot be recorded ({error}). Make room, then: recarena resume RUN"
        )

    # ------------------------------------------------------------------ sums

    def spent(self) -> tuple[float, int]:
        """Money and tokens of all calls that this run paid for; where they are unknown, what was
        set aside counts."""
        tokens = "COALESCE(input + output + cache_read + cache_write, worst_tokens, 0)"
        row = self._db.execute(
            "SELECT COALESCE(SUM(COALESCE(cost, worst, 0)), 0), "
            f"COALESCE(SUM({tokens}), 0) FROM calls WHERE paid = 1"
        ).fetchone()
        return float(row[0]), int(row[1])

    def failures_before(self, round: int) -> tuple[int, dict[str, int]]:
        """Decisions of earlier rounds, and those that fell back, by purpose and kind."""
        rows = self._db.execute(
            "SELECT purpose, failure, COUNT(*) FROM decisions WHERE round < ? AND round > 0 "
            "GROUP BY purpose, failure",
            (round,),
        ).fetchall()
        failed = {f"{purpose}: {failure}": count for purpose, failure, count in rows if failure}
        return sum(count for *_, count in rows), failed

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a query, for reports."""
        return self._db.execute(query, values).fetchall()


def copy_recording(source: Path, target: Path, round: int) -> None:
    """Copies the recording of a run folder, if it has one, for a run that goes on from a round of
    it: what was paid for once is not paid for again."""
    if (source / FILE).is_file():
        with Recorder(source / FILE, read_only=True) as recorder:
            recorder.copy_to(target / FILE, round)
