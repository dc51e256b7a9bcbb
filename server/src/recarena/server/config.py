"""Settings of a run: one frozen tree, from a TOML file, command-line options or a CreateRun call.

Unknown keys are refused with the nearest known one. `docs/configuration.md` lists every key.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from recarena.server.activation import Activation, ActivationPolicy
from recarena.server.allocation import AllocationUnit
from recarena.server.errors import InputError
from recarena.server.llm.prices import Price
from recarena.server.llm.settings import LlmSettings
from recarena.server.memory.settings import MemorySettings
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.population import PROFILE_FIELDS
from recarena.server.rounds import RoundRules
from recarena.server.section import Section
from recarena.server.types import FailurePolicy
from recarena.server.visits import VisitRules
from recarena.server.world import Dynamics

NAME = r"[a-z0-9][a-z0-9._-]{0,62}"
"""Form of the names of runs, arms and recommenders."""
SEEDS = 2**63
"""Seeds are below it."""


def _is_name(value: str) -> str:
    if not re.fullmatch(NAME, value):
        raise ValueError(
            "a name has 1 to 63 of a-z, 0-9, '.', '_', '-' and begins with a letter or digit"
        )
    return value


Name = Annotated[str, AfterValidator(_is_name)]


class Clock(StrEnum):
    """What the time a recommender takes means."""

    REALTIME = "realtime"
    """2 s a work by default: for claims about systems."""
    LOCKSTEP = "lockstep"
    """60 s a work by default: for reproducible science."""


class ArmSettings(Section):
    """One `[[arms]]` table."""

    id: Name = ""
    """Default: the recommender's name."""
    recommender: Name
    """The recommender_id that serves it."""
    weight: int = Field(default=1, ge=1)
    failure_policy: Literal["empty_list", "fallback_popular", "pause_run", "fail_run"] = (
        "empty_list"
    )
    work_timeout_s: float | None = Field(default=None, gt=0, le=3600)
    command: str | None = None
    """Program to start for `recarena run`; {server} is replaced by the address."""
    explanations: bool = False
    """Whether lists are asked for with explanations."""
    explanation_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the explanations that users get to see, by a draw for each; the others are kept in
    the log alone."""
    replicas: int = Field(default=1, ge=1, le=64)
    """Sessions of the recommender that share the arm's users and stand in for each other."""
    strict: bool = False
    """Whether an answer with any violation is rejected as a whole."""

    @model_validator(mode="before")
    @classmethod
    def _named_after_recommender(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("id"):
            rest = {key: one for key, one in value.items() if key != "id"}
            named = isinstance(rest.get("recommender"), str)
            return {**rest, "id": rest["recommender"]} if named else rest
        return value

    @model_validator(mode="after")
    def _something_to_show(self) -> ArmSettings:
        if self.explanation_share != 1 and not self.explanations:
            raise ValueError("explanation_share needs explanations = true: there are none to show")
        return self

    @property
    def policy(self) -> FailurePolicy:
        """The failure policy as the engine names it."""
        return FailurePolicy[self.failure_policy.upper()]


class AssignmentSettings(Section):
    """`[assignment]`: how users come to their arms."""

    by: AllocationUnit = AllocationUnit.USERS
    clusters_per_arm: int = Field(default=4, ge=1, le=1000)
    """With clusters: the smallest arm's users are at least so many times those of a cluster."""


class ActivationSettings(Section):
    """`[activation]`: who wakes up in a round."""

    policy: ActivationPolicy = ActivationPolicy.ALL
    rate: float = Field(default=0.5, gt=0, le=1)
    shape: float = Field(default=1.5, gt=0)


class VisitSettings(Section):
    """`[visits]`: what a visit to the recommender may be."""

    page_size: int = Field(default=5, ge=1, le=50)
    step_cap: int = Field(default=10, ge=1, le=100)
    repeats: Literal["allow", "forbid"] = "allow"
    """Whether watched items may be shown again; if not, they are dropped and counted."""


class TimeSettings(Section):
    """`[time]`: simulated time."""

    start: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    interval_hours: float = Field(default=5.0, gt=0)

    def of_round(self, round: int) -> datetime:
        """Simulated time at which a round (from 1) begins."""
        start = self.start if self.start.tzinfo else self.start.replace(tzinfo=UTC)
        return start + timedelta(hours=self.interval_hours) * (round - 1)


class SessionSettings(Section):
    """`[session]`: dealing with recommenders."""

    clock: Clock = Clock.LOCKSTEP
    work_timeout_s: float | None = Field(default=None, gt=0, le=3600)
    """Default: 2 s REALTIME, 60 s LOCKSTEP."""
    ready_timeout_s: float = Field(default=300.0, gt=0)
    resume_window_s: float = Field(default=30.0, ge=0)
    ping_interval_s: float = Field(default=10.0, gt=0)
    max_users_per_work: int | None = Field(default=None, ge=1, le=16384)
    """Default: 64 rich, 4,096 columnar; what a recommender asks for is capped at 256 and 16,384."""
    recent_interactions: int = Field(default=0, ge=0, le=100)
    open_profile: tuple[str, ...] = ()
    """Profile fields that recommenders may see."""

    @model_validator(mode="after")
    def _known_fields(self) -> SessionSettings:
        for name in self.open_profile:
            if name not in PROFILE_FIELDS:
                raise ValueError(f"open_profile: {name!r} is none of {', '.join(PROFILE_FIELDS)}")
        return self

    def work_timeout(self, arm: ArmSettings) -> float:
        """Seconds for one work of an arm."""
        default = 2.0 if self.clock is Clock.REALTIME else 60.0
        return arm.work_timeout_s or self.work_timeout_s or default


class StoreSettings(Section):
    """`[store]`: the run folder."""

    fsync: bool = False
    """Also write a redo file per round and force it to the disk (a power cut loses nothing)."""
    optimize_every: int = Field(default=20, ge=1)


class ExecutionSettings(Section):
    """`[execution]`: batches and concurrency; they never change a result."""

    cohort_size: int = Field(default=4096, ge=1)
    cohorts_at_once: int = Field(default=4, ge=1)


class Settings(Section):
    """All settings of a run."""

    seed: int = Field(default=1, ge=0, lt=SEEDS)
    rounds: int = Field(default=10, ge=1)
    arms: tuple[ArmSettings, ...] = Field(min_length=1)
    assignment: AssignmentSettings = AssignmentSettings()
    activation: ActivationSettings = ActivationSettings()
    visits: VisitSettings = VisitSettings()
    time: TimeSettings = TimeSettings()
    session: SessionSettings = SessionSettings()
    store: StoreSettings = StoreSettings()
    execution: ExecutionSettings = ExecutionSettings()
    llm: LlmSettings = LlmSettings()
    memory: MemorySettings = MemorySettings()
    choice: dict[str, float] = Field(default_factory=dict[str, float])
    """Coefficients of the choice mind that differ from their defaults."""
    dynamics: dict[str, float] = Field(default_factory=dict[str, float])
    """Dynamics of the world that differ from their defaults."""

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        _check_names("choice", self.choice, Coefficients)
        _check_names("dynamics", self.dynamics, Dynamics)
        if not 0 <= (foresight := self.choice.get("foresight", 0.5)) <= 1:
            raise ValueError(f"choice.foresight: {foresight:g} is not in 0..1: it is a share")
        for what in ("id", "recommender"):
            names = [getattr(arm, what) for arm in self.arms]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"arms: the {what} {name!r} is there twice")
        return self

    def rules(self) -> RoundRules:
        """How rounds are played."""
        return RoundRules(
            VisitRules(self.visits.page_size, self.visits.step_cap),
            Activation(self.activation.policy, self.activation.rate, self.activation.shape),
            self.execution.cohort_size,
            self.execution.cohorts_at_once,
        )

    def coefficients(self) -> Coefficients:
        """The choice mind's coefficients."""
        return Coefficients(**self.choice)

    def world_dynamics(self) -> Dynamics:
        """The world's dynamics."""
        return Dynamics(**self.dynamics)


def _check_names(table: str, given: Mapping[str, float], known: type) -> None:
    names = [f.name for f in dataclasses.fields(known)]
    for name in given:
        if name not in names:
            raise ValueError(f"{table}.{name} is not known{_nearest(name, names)}")


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(names))}"


def parse_settings(values: Mapping[str, Any], where: str) -> Settings:
    """Settings from a tree of values. InputError names every wrong field, with `where` in front."""
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors()
        if any(len(one["loc"]) > 1 and one["loc"][0] == "arms" for one in found):
            found = [one for one in found if one["loc"] != ("arms",)]
        fields = tuple((_path(one), _problem(one)) for one in found)
        problems = "; ".join(problem for _, problem in fields)
        raise InputError(problems, where=where, fields=fields) from None


def reseeded(settings: Settings, seed: int) -> Settings:
    """The settings with another seed. InputError for one that cannot be."""
    if not 0 <= seed < SEEDS:
        raise InputError(
            f"{seed} is no seed",
            where="seed",
            remedy=f"Give a whole number from 0 to {SEEDS - 1} (below 2^63), or none to keep "
            f"{settings.seed}",
        )
    return settings.model_copy(update={"seed": seed})


def _path(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"])


def _problem(error: Any) -> str:
    path = _path(error)
    if error["type"] == "extra_forbidden":
        section = _section_at(error["loc"][:-1])
        return f"{path} is not known{_nearest(str(error['loc'][-1]), list(section.model_fields))}"
    if error["type"] == "missing":
        return f"{path} is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


LISTS: dict[str | int, type[Section]] = {"arms": ArmSettings, "prices": Price}
"""Tables of which there may be several."""


def _section_at(path: tuple[str | int, ...]) -> type[Section]:
    section: type[Section] = Settings
    for part in path:
        if part in LISTS:
            section = LISTS[part]
        elif isinstance(part, str):
            annotation = section.model_fields[part].annotation
            assert isinstance(annotation, type)
            assert issubclass(annotation, Section)
            section = annotation
    return section


def read_toml(path: Path) -> dict[str, Any]:
    """The tree of a TOML file. InputError names the file and, for bad syntax, the line."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", where=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8 text", where=str(path), remedy="Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", where=str(path)) from None
