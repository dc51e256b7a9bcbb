"""The folder of a study: what it was made from, what was told, asked and answered.

Nothing in it depends on when or where it was made: the same seed writes the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from recarena.evaluation.explaining.inquiries import Wordings
from recarena.evaluation.judging.replies import FILE as REPLIES
from recarena.evaluation.judging.replies import Reply, read_replies, write_replies
from recarena.evaluation.questionnaires.form import Questionnaire
from recarena.evaluation.questionnaires.reading import read
from recarena.evaluation.runs.run_log import RunLog
from recarena.evaluation.runs.steered import remarks
from recarena.evaluation.runs.unreadable import Unreadable
from recarena.evaluation.stimuli.conditions import Condition
from recarena.evaluation.stimuli.faithfulness import Checked, Claims, Verdict, counted
from recarena.evaluation.stimuli.triples import Triple, Words

MANIFEST = "study.json"
TRIPLES = "triples.jsonl"
WORDINGS = "wordings.jsonl"
CLAIMS = "claims.jsonl"
QUESTIONNAIRE = "questionnaire.toml"
FORMAT = "recarena-explanations"
FORMAT_VERSION = 1
CheckedClaims = Mapping[tuple[str, str], Sequence[Checked]]
"""By (id of the triple, Condition)."""


class UnreadableStudy(Unreadable):
    """A folder cannot be read as a study of explanations."""


@dataclass(frozen=True)
class Study:
    """A study as its folder stands."""

    path: Path
    manifest: Mapping[str, Any]
    triples: Sequence[Triple]
    wordings: Wordings
    checked: CheckedClaims
    replies: Sequence[Reply]
    """Empty where nothing was asked yet."""

    @classmethod
    def open(cls, path: Path | str) -> Study:
        """The study at `path`. UnreadableStudy names the file and the line."""
        path = Path(path)
        manifest = _manifest(path)
        try:
            replies = read_replies(path / REPLIES) if (path / REPLIES).is_file() else []
            return cls(
                path, manifest,
                [_triple(one) for one in _lines(path / TRIPLES)],
                {one["triple"]: _told(one["told"]) for one in _lines(path / WORDINGS)},
                _checked(_lines(path / CLAIMS)),
                replies,
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnreadableStudy(
                f"{path} cannot be read as a study of explanations ({error}). Make it again, or "
                "restore it from a copy"
            ) from None

    @property
    def questionnaire(self) -> Questionnaire | None:
        """Whose statements were asked; None: none were. BadQuestionnaire where its file does not
        hold one any more."""
        file = self.path / QUESTIONNAIRE
        return read(file.read_bytes(), str(file)) if file.is_file() else None

    @property
    def claims(self) -> Mapping[tuple[str, str], Claims]:
        """By (id of the triple, Condition), how many claims are borne out."""
        return {key: counted(one) for key, one in self.checked.items()}


def write_study(
    path: Path, manifest: Mapping[str, Any], triples: Sequence[Triple], wordings: Wordings,
    checked: CheckedClaims,
) -> None:  # fmt: skip
    """Everything but the replies, into a folder that is made where there is none."""
    path.mkdir(parents=True, exist_ok=True)
    whole = _finite({"format": FORMAT, "format_version": FORMAT_VERSION, **manifest})
    (path / MANIFEST).write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", "utf-8")
    _write(path / TRIPLES, (asdict(one) for one in triples))
    _write(path / WORDINGS, (
        {
            "triple": one.id,
            "told": {str(name): told and asdict(told) for name, told in wordings[one.id].items()},
        }
        for one in triples
    ))  # fmt: skip
    _write(path / CLAIMS, (
        {"triple": triple, "condition": condition, "claims": [asdict(one) for one in several]}
        for (triple, condition), several in checked.items()
    ))  # fmt: skip


def add_replies(path: Path, replies: Iterable[Reply]) -> None:
    """The answers, in place of those that were there."""
    write_replies(replies, path / REPLIES)


def run_record(log: RunLog) -> dict[str, Any]:
    """What a manifest says of a run: enough to tell whether another folder is the same run."""
    table = log.read("rounds", ("round", "digest"))
    digests: dict[int, str] = (
        {} if table is None
        else dict(zip(table["round"].to_pylist(), table["digest"].to_pylist(), strict=True))
    )  # fmt: skip
    said = remarks([log])
    return {
        "run_id": log.run_id, "rounds": log.rounds, "digest": digests.get(log.rounds, ""),
        "world": log.world, "seed": log.seed, "mind": dict(log.mind),
        "recommenders": [arm.recommender for arm in log.arms], "users": len(log.user_ids),
        **({"remarks": said} if said else {}),
    }  # fmt: skip


def _finite(value: Any) -> Any:
    """JSON has no NaN: null in its place."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {name: _finite(one) for name, one in cast("Mapping[str, Any]", value).items()}
        case list() | tuple():
            return [_finite(one) for one in cast("Sequence[Any]", value)]
        case _:
            return value


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        manifest: Any = json.loads((path / MANIFEST).read_text("utf-8"))
    except OSError:
        raise UnreadableStudy(
            f"{path} holds no study of explanations (no {MANIFEST}). Name a folder that "
            "recarena explain wrote"
        ) from None
    except ValueError as error:
        raise UnreadableStudy(f"{path / MANIFEST} cannot be read as JSON: {error}") from None
    if not isinstance(manifest, dict) or cast("Any", manifest).get("format") != FORMAT:
        raise UnreadableStudy(f"{path / MANIFEST} is not of a study of explanations")
    version = cast("Any", manifest).get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UnreadableStudy(
            f"{path / MANIFEST} has format {version}, this release reads up to {FORMAT_VERSION}. "
            "Update RecArena"
        )
    return cast("Mapping[str, Any]", manifest)


def _write(path: Path, objects: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for one in objects:
            file.write(json.dumps(one, ensure_ascii=False) + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                found.append(dict(json.loads(line)))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    return found


def _triple(values: dict[str, Any]) -> Triple:
    given: dict[str, Any] = {**values, "explanation": _words(values["explanation"])}
    return Triple(**given)


def _words(values: Mapping[str, Any]) -> Words:
    pieces = tuple((str(kind), str(reference)) for kind, reference in values["evidence"])
    return Words(values["text"], pieces, values["method"], values["locale"])


def _told(values: Mapping[str, Any]) -> Mapping[Condition, Words | None]:
    return {Condition(name): words and _words(words) for name, words in values.items()}


def _checked(lines: Iterable[Mapping[str, Any]]) -> CheckedClaims:
    found: dict[tuple[str, str], list[Checked]] = {}
    for line in lines:
        claims = found.setdefault((line["triple"], line["condition"]), [])
        for one in line["claims"]:
            values: dict[str, Any] = {**one, "verdict": Verdict(one["verdict"])}
            claims.append(Checked(**values))
    return found
