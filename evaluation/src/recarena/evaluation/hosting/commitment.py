r"""The secret of a season: drawn once, committed to before anything is played, revealed after.

    commitment = SHA-256 of the UTF-8 bytes of
        recarena-commitment 1
        seed SEED
        salt SALT
        settings SETTINGS

with a line feed after each of the four lines. SEED and SALT are 64 hexadecimal digits (256 random
bits each), SETTINGS is one line of JSON: keys sorted, no blanks, no escapes that JSON does not ask
for. Who knows the commitment can neither find the seed (it is blinded by the salt) nor be shown
another one later: SHA-256 is taken to be preimage and collision resistant (FIPS 180-4).

The numbers that a world follows from are, for purpose P and number N from 0,

    the first 59 bits of SHA-256 of  "recarena-season 1\nSEED\nSEASON\nP N\n".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recarena.evaluation.hosting.config import Competition
from recarena.evaluation.hosting.settings import BadCompetition

SECRET = "secret.json"
BITS = 59
"""Of a seed: a specification of a world has room for 18 digits."""
OTHERS_MAY = 0o077


@dataclass(frozen=True, slots=True)
class Secret:
    """What nobody may know before the season is over."""

    seed: str
    salt: str

    def commitment(self, settings: Mapping[str, Any]) -> str:
        """64 hexadecimal digits; see the module."""
        lines = (
            "recarena-commitment 1", f"seed {self.seed}", f"salt {self.salt}",
            f"settings {canonical(settings)}",
        )  # fmt: skip
        return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()

    def number(self, season: str, purpose: str, world: int) -> int:
        """A seed below 2**59 that follows from the secret; see the module."""
        words = f"recarena-season 1\n{self.seed}\n{season}\n{purpose} {world}\n"
        first = hashlib.sha256(words.encode()).digest()[:8]
        return int.from_bytes(first, "big") >> (64 - BITS)


def canonical(settings: Mapping[str, Any]) -> str:
    """One line of JSON that is the same for equal settings."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def settings_of(competition: Competition) -> dict[str, Any]:
    """What the commitment binds besides the seed: all that decides a result."""
    worlds = asdict(competition.worlds)
    if competition.base_world:
        from recarena.evaluation.competing.manifest import folder_sha256

        worlds["kind"] = "folder"
        worlds["base_sha256"] = folder_sha256(competition.base_world)
    return {
        "season": competition.season,
        "worlds": worlds,
        "settings": competition.run_settings,
        "primary": competition.primary,
        "minimum_effect": competition.minimum_effect,
        "ranked": competition.ranked,
        "gate": asdict(competition.gate),
        "entrants": {
            key: value
            for key, value in asdict(competition.entrants).items()
            if key in ("max_submissions", "time_budget_s", "work_timeout_s", "message_budget")
        },
    }


def keep_secret(folder: Path) -> Secret:
    """The secret of a season's folder, drawn where there is none yet. BadCompetition where its file
    can be read by others, or is none."""
    path = folder / SECRET
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_secret(folder)
    drawn = Secret(secrets.token_hex(32), secrets.token_hex(32))
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(drawn)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return drawn


def read_secret(folder: Path) -> Secret:
    """The secret of a season's folder. BadCompetition."""
    path = folder / SECRET
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS_MAY:
                raise BadCompetition(f"others may read {path}: chmod 600 it, and take a new season")
            return secret_from(json.loads(file.read()))
    except FileNotFoundError:
        raise BadCompetition(f"there is no {path}; the season has not been served yet") from None
    except (OSError, ValueError) as error:
        raise BadCompetition(f"{path} cannot be read: {error}; restore it from a copy") from None


def secret_from(values: Any) -> Secret:
    """The secret in a JSON object. ValueError for anything else."""
    seed, salt = (str(dict(values).get(name, "")) for name in ("seed", "salt"))
    for one in (seed, salt):
        if len(one) != 64 or set(one) - set("0123456789abcdef"):
            raise ValueError("seed and salt are 64 hexadecimal digits each")
    return Secret(seed, salt)


def same(one: str, other: str) -> bool:
    """Whether two digests are the same, in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())
