"""From the options of a command to the order of a study: what is wrong with them is said before
anything is started."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from recarena.evaluation.explaining.conduct import ORDER, RUNS, BadOrder, Order
from recarena.evaluation.explaining.folder import REPLIES, Study
from recarena.evaluation.explaining.judges import Judge, check_key, check_writer, judge
from recarena.evaluation.explaining.plan import Plan
from recarena.evaluation.playing.contenders import BadContender, Contender, contenders, remote
from recarena.evaluation.playing.sendable import sendable
from recarena.evaluation.questionnaires.reading import content_of, read

TEMPLATES, GENERATED = "template", "generated"
OF_JUDGES = ("llm", "memory", "choice", "judges")
"""Tables of a settings file that are about who judges."""
NOT_READ = ("seed", "rounds", "arms")
"""What a study says itself, so that the file of a run does as it is."""


@dataclass(frozen=True)
class Wishes:
    """The options as they were given."""

    folder: Path
    runs: Sequence[Path]
    world: str
    recommenders: Sequence[str]
    remote: Sequence[str]
    listen: str
    rounds: int
    judges: Sequence[str]
    base_url: str
    config: Path | None
    triples: int
    questionnaire: str
    texts: str
    writer: str
    max_cost: float | None
    max_tokens: int | None
    seed: int
    asked: Mapping[str, Any]
    """What `Plan.of` takes; None: its default."""
    environment: Mapping[str, str] | None
    """In which keys are looked for; None: nobody is going to be called."""
    with_people: bool = False


def order_of(wishes: Wishes) -> Order:
    """What the options ask for. BadOrder, BadJudge, BadContender, BadQuestionnaire."""
    playing = _recommenders(wishes)
    settings = _settings(wishes)
    found, writer = _people(wishes, settings)
    models = [one for one in (*found, writer) if one and one.is_llm]
    content, sheet = b"", None
    if wishes.questionnaire != "none":
        content = content_of(wishes.questionnaire)
        sheet = read(content, wishes.questionnaire)
    asked = any(one.takes_statements for one in found)
    urls = [str((one.settings.get(table) or {}).get("base_url") or "")
            for one in models for table in ("llm", "memory")]  # fmt: skip
    runs = {name: one for name, one in settings.items() if name not in ("llm", "memory", "judges")}
    return Order(
        folder=wishes.folder, runs=tuple(wishes.runs), world=_absolute(wishes.world),
        rounds=wishes.rounds, recommenders=playing, settings=runs if wishes.world else {},
        plans=tuple(Plan.of(one, sheet, wishes.seed, **wishes.asked) for one in found),
        writer=writer, triples=wishes.triples, seed=wishes.seed,
        questionnaire=content if asked else b"", urls=frozenset(urls) - {""},
        listen=wishes.listen, with_people=wishes.with_people,
    )  # fmt: skip


def study_among(wishes: Wishes) -> Study | None:
    """The study whose folder is named in the place of runs, and nothing else; None: there is none.
    UnreadableStudy where it is broken."""
    if len(wishes.runs) != 1 or wishes.world or wishes.recommenders or wishes.remote:
        return None
    (folder,) = wishes.runs
    return Study.open(folder) if (folder / REPLIES).is_file() else None


def _recommenders(wishes: Wishes) -> tuple[Contender, ...]:
    """Who plays the world, where one is to be played."""
    named = bool(wishes.recommenders or wishes.remote)
    if bool(wishes.runs) == bool(wishes.world):
        raise BadOrder(
            "name either run folders, or a world to play: recarena explain RUN, or --world WORLD "
            "-r RECOMMENDER"
        )
    if wishes.world and not named:
        raise BadOrder("--world needs recommenders to play it: -r item-knn -r content")
    if named and not wishes.world:
        raise BadOrder("-r and --remote are for --world: a run has its recommenders")
    for run in wishes.runs:
        if (run / ORDER).is_file():
            own = sorted(one.parent for one in (run / RUNS).glob("*/manifest.json"))
            inside = " ".join(map(str, own)) or "there are none in it"
            raise BadOrder(f"{run} is a study, not a run. Name its runs: {inside}")
    playing = (*contenders(wishes.recommenders), *map(remote, dict.fromkeys(wishes.remote)))
    names = [one.name for one in playing]
    for name in names:
        if names.count(name) > 1:
            raise BadContender(f"two recommenders are called {name}: give one another name")
    return playing


def _people(wishes: Wishes, settings: Mapping[str, Any]) -> tuple[list[Judge], Judge | None]:
    """The judges, and who writes texts."""
    named = list(dict.fromkeys(wishes.judges))
    if wishes.texts not in (TEMPLATES, GENERATED):
        raise BadOrder(f"--texts {wishes.texts!r} is not known: write {TEMPLATES} or {GENERATED}")
    if (wishes.texts == GENERATED) != bool(wishes.writer):
        raise BadOrder("--texts generated and --writer PROVIDER:MODEL go together")
    unknown = sorted(set(settings.get("judges", {})) - {*named, wishes.writer})
    if unknown:
        near = get_close_matches(unknown[0], [*named, wishes.writer], 1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise BadOrder(f"--config: [judges.{unknown[0]!r}] is of nobody who is asked{meant}")
    if wishes.base_url and not any(
        one.startswith("openai-compatible") for one in (*named, wishes.writer)
    ):
        raise BadOrder("--base-url is for openai-compatible:MODEL, and no such model is asked")
    if wishes.base_url and not wishes.base_url.startswith(("http://", "https://")):
        raise BadOrder(
            f"--base-url {wishes.base_url!r} is no address. Write it as http://localhost:8000/v1"
        )
    writer = _judge(wishes.writer, settings, wishes.base_url) if wishes.writer else None
    found = [_judge(one, settings, wishes.base_url) for one in named]
    check_writer(writer, found)
    models = [one for one in (*found, writer) if one and one.is_llm]
    if wishes.environment is not None:
        for one in models:
            check_key(one, wishes.environment)
    caps: dict[str, float] = {}
    for name, cap in (("max_cost", wishes.max_cost), ("max_tokens", wishes.max_tokens)):
        if cap is None:
            continue
        if not models:
            option = name.replace("_", "-")
            raise BadOrder(f"--{option} is for language models, and none is asked")
        caps[name] = cap / len(models) if name == "max_cost" else int(cap / len(models))
    return [_capped(one, caps) for one in found], _capped(writer, caps) if writer else None


def _judge(name: str, settings: Mapping[str, Any], base_url: str) -> Judge:
    """With the tables of all judges, and over them its own. BadJudge where there is none of that
    name."""
    own: Mapping[str, Any] = settings.get("judges", {}).get(name, {})
    tables = {one: settings[one] for one in OF_JUDGES if one in settings and one != "judges"}
    taken: dict[str, Any] = {
        table: {**tables.get(table, {}), **own.get(table, {})} for table in {*tables, *own}
    }
    if base_url and name.startswith("openai-compatible"):
        taken["llm"] = {**taken.get("llm", {}), "base_url": base_url}
    return judge(name, taken)


def _capped(one: Judge, caps: Mapping[str, float]) -> Judge:
    if not one.is_llm or not caps:
        return one
    llm = {**dict(one.settings["llm"]), **caps}
    return replace(one, settings={**one.settings, "llm": llm})


def _settings(wishes: Wishes) -> dict[str, Any]:
    """The file's tables, without what a study says itself. BadOrder where it cannot be read, or
    where what stands in it would not be used."""
    path = wishes.config
    if path is None:
        return {}
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadOrder(f"--config: there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadOrder(f"--config: {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadOrder(f"--config: {path} is not TOML: {error}") from None
    for name in NOT_READ:
        settings.pop(name, None)
    for name in OF_JUDGES:
        _check_table(path, f"[{name}]", settings.get(name, {}))
    for name, tables in settings.get("judges", {}).items():
        _check_table(path, f'[judges."{name}"]', tables)
        for table, values in tables.items():
            _check_table(path, f'[judges."{name}".{table}]', values)
    unused = sorted(set(settings) - {*OF_JUDGES})
    if unused and not wishes.world:
        near = get_close_matches(unused[0], OF_JUDGES, 1)
        raise BadOrder(
            f"--config: {path}: [{unused[0]}] is not known of judges; "
            + (f"did you mean [{near[0]}]? " if near else "")
            + f"They have {', '.join(f'[{one}]' for one in OF_JUDGES)}; all others are for --world"
        )
    return sendable(settings)


def _check_table(path: Path, name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise BadOrder(f"--config: {path}: {name} is a table, not {value!r}")


def _absolute(world: str) -> str:
    """A folder as the server finds it; other worlds as they are."""
    return str(Path(world).absolute()) if world and Path(world).is_dir() else world
