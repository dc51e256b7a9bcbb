"""What the command line says of models: which embeds, which re-ranks, and what they may cost."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "openai-compatible": ""}
"""Providers, and the environment variable that each one's key is in; "": none is needed, and
OPENAI_API_KEY is used where there is one."""
SDKS = {"anthropic": "anthropic", "openai": "openai", "openai-compatible": "openai"}
EXTRA = "pip install 'recarena-recommenders[llm]'"
LSA = "lsa"
AT_ONCE = 4
"""Works that a server has under way at once with one session."""


class WrongOption(ValueError):
    """An option has a value that means nothing."""


class Unusable(ValueError):
    """What was chosen needs something that is not there: a key or a package."""


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """Who makes vectors of texts."""

    model: str = ""
    """Of an OpenAI-compatible server; "": nobody, the catalogue itself is analysed."""
    base_url: str = ""
    key: str = ""


NO_EMBEDDER = EmbedderChoice()


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which language model re-ranks, and how much it is asked."""

    provider: str
    model: str
    base_url: str = ""
    """"": the provider's own."""
    key: str = ""
    depth: int = 30
    """Items of the first stage that it chooses among."""
    concurrency: int = 8
    """Calls under way at once, in all sessions together."""
    max_calls: int | None = None
    max_tokens: int | None = None
    answer_tokens: int = 1000
    """Longest answer."""

    def works(self, sessions: int) -> tuple[int, int]:
        """(users in a work, works at once) with which all calls that are asked for can be under
        way together, so that none waits for another while its own time runs out."""
        at_once = max(1, min(AT_ONCE, self.concurrency // sessions))
        return max(1, self.concurrency // (sessions * at_once)), at_once


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of hybrid and llm-rerank."""
    add = parser.add_argument
    add(
        "--embedder",
        metavar="NAME",
        default=LSA,
        help="of hybrid: lsa (default, nothing is needed) or openai-compatible:MODEL",
    )
    add("--model", metavar="PROVIDER:MODEL", help=f"of llm-rerank: {', '.join(KEYS)}")
    add("--base-url", metavar="URL", default="", help="the server of an openai-compatible model")
    add("--first-stage", metavar="NAME", default="item-knn", help="who llm-rerank re-ranks")
    add("--depth", metavar="N", type=at_least_one, default=30, help="how many of its items")
    add("--llm-concurrency", metavar="N", type=at_least_one, default=8, help="calls at once")
    add("--max-calls", metavar="N", type=at_least_one, help="then the first stage alone")
    add("--max-tokens", metavar="N", type=at_least_one, help="in and out; likewise")
    add("--answer-tokens", metavar="N", type=at_least_one, default=1000, help="longest answer")


def at_least_one(text: str) -> int:
    """A number of something there must be."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return number


def embedder_choice(given: argparse.Namespace, environ: Mapping[str, str]) -> EmbedderChoice:
    """What --embedder says. WrongOption, Unusable."""
    if given.embedder == LSA:
        return NO_EMBEDDER
    provider, _, model = given.embedder.partition(":")
    if provider != "openai-compatible" or not model:
        raise WrongOption(f"--embedder {given.embedder}: it is {LSA} or openai-compatible:MODEL")
    if not given.base_url:
        raise WrongOption("--embedder openai-compatible:MODEL needs --base-url")
    need_sdk("openai")
    return EmbedderChoice(model, given.base_url, environ.get("OPENAI_API_KEY", "").strip())


def model_choice(given: argparse.Namespace, environ: Mapping[str, str]) -> ModelChoice | None:
    """What --model and its companions say, None without one. WrongOption, Unusable."""
    if given.model is None:
        return None
    provider, _, model = given.model.partition(":")
    if provider not in KEYS or not model:
        known = ", ".join(f"{one}:MODEL" for one in KEYS)
        raise WrongOption(f"--model {given.model}: it is one of {known}")
    if provider == "openai-compatible" and not given.base_url:
        raise WrongOption("--model openai-compatible:MODEL needs --base-url")
    need_sdk(SDKS[provider])
    variable = KEYS[provider] or "OPENAI_API_KEY"
    key = environ.get(variable, "").strip()
    if KEYS[provider] and not key:
        raise Unusable(f"--model {given.model} needs a key: set {variable} in the environment")
    return ModelChoice(
        provider,
        model,
        given.base_url,
        key,
        given.depth,
        given.llm_concurrency,
        given.max_calls,
        given.max_tokens,
        given.answer_tokens,
    )


def need_sdk(name: str) -> None:
    """Unusable where a provider's SDK is not installed."""
    if find_spec(name) is None:
        raise Unusable(f"the package {name} is not installed: {EXTRA}")
