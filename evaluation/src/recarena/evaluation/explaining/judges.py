"""Who answers in the place of the users, as a command line names it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recarena.v1.simulation_inquiry_service_pb2 import Judge as JudgeMessage

CHOICE = "choice"
CHARACTERS = ("honest", "sycophant", "halo", "random")
SCRIPTED = tuple(f"scripted:{one}" for one in CHARACTERS)
PROVIDERS = ("anthropic", "openai", "openai-compatible")
KEYS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",), "openai": ("OPENAI_API_KEY",), "openai-compatible": (),
}  # fmt: skip
"""Variables of the environment in which keys are looked for, where the settings name none."""


class BadJudge(Exception):
    """A judge that there is not, or that may not judge; the text is one line with the remedy."""


@dataclass(frozen=True)
class Judge:
    """A mind that answers inquiries."""

    name: str
    """"choice", "scripted:honest", "anthropic:claude-haiku-4-5": as replies name it."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The tables [llm], [memory] and [choice], as in a settings file; provider and model are
    those of the name."""

    @property
    def kind(self) -> str:
        """As the contract has it: "choice", "llm", "scripted:honest"."""
        return "llm" if self.is_llm else self.name

    @property
    def is_llm(self) -> bool:
        """Whether its answers are a language model's, and cost something."""
        return self.name.partition(":")[0] in PROVIDERS

    @property
    def is_scripted(self) -> bool:
        """Whether it is one of known character."""
        return self.name in SCRIPTED

    @property
    def takes_statements(self) -> bool:
        """Whether it can be asked to agree or disagree."""
        return self.name != CHOICE

    @property
    def model(self) -> tuple[str, str]:
        """(provider, model) of a language model; else ("", "")."""
        provider, _, model = self.name.partition(":")
        return (provider, model) if self.is_llm else ("", "")

    @property
    def recording(self) -> str:
        """Name of the recording that its calls go into; "" where there are none."""
        return re.sub(r"[^a-z0-9.-]+", "-", f"explain-{self.name}".lower()) if self.is_llm else ""

    def message(self, recording: str | None = None) -> JudgeMessage:
        """As it goes over the wire."""
        from recarena.v1.simulation_inquiry_service_pb2 import Judge as JudgeMessage

        message = JudgeMessage(
            kind=self.kind, recording=self.recording if recording is None else recording
        )
        message.settings.update(self.settings)
        return message


def judge(name: str, settings: Mapping[str, Any] | None = None) -> Judge:
    """The judge of that name, with settings as in a settings file. BadJudge."""
    given = dict(settings or {})
    provider, _, model = name.partition(":")
    if name == CHOICE or name in SCRIPTED:
        given.pop("llm", None)
        return Judge(name, given)
    if provider not in PROVIDERS or not model:
        meant = name.removeprefix("scripted:")
        near = get_close_matches(meant, (CHOICE, *CHARACTERS), 1)
        near = [one if one == CHOICE else f"scripted:{one}" for one in near]
        raise BadJudge(
            f"{name!r} is no judge"
            + (f"; did you mean {near[0]}? Else write " if near else ": write ")
            + f"{CHOICE}, {', '.join(SCRIPTED)}, or PROVIDER:MODEL with one of the providers "
            f"{', '.join(PROVIDERS)}"
        )
    given["llm"] = {**(given.get("llm") or {}), "provider": provider, "model": model}
    return Judge(name, given)


def check_key(one: Judge, environment: Mapping[str, str]) -> None:
    """BadJudge where a language model needs a key, and the variables that it is looked for in hold
    none."""
    provider, _ = one.model
    llm: Mapping[str, Any] = one.settings["llm"]
    named: str | Iterable[str] = llm.get("api_key_env") or KEYS[provider]
    for name in [named] if isinstance(named, str) else named:
        if not environment.get(name, "").strip(" ,"):
            raise BadJudge(
                f"{one.name} needs a key, and the environment variable {name} is not set. Set it, "
                "or ask without a key: --judge choice, or a server of your own, --judge "
                "openai-compatible:MODEL --base-url http://localhost:11434/v1"
            )


def check_writer(writer: Judge | None, judges: Iterable[Judge]) -> None:
    """BadJudge where texts are written by no language model, or by one that also judges them."""
    if writer is None:
        return
    if not writer.is_llm:
        raise BadJudge(
            f"{writer.name!r} cannot write texts: name a writer PROVIDER:MODEL with one of the "
            f"providers {', '.join(PROVIDERS)}"
        )
    for one in judges:
        if one.is_llm and _same(one.model, writer.model):
            raise BadJudge(
                f"{writer.name} would judge texts that it wrote itself: name another writer or "
                "another judge"
            )


def _same(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two names mean the same model. Behind any compatible server there may be the same
    one, so that of those the model's name alone counts."""
    if one[1].lower() != other[1].lower():
        return False
    return one[0] == other[0] or "openai-compatible" in (one[0], other[0])
