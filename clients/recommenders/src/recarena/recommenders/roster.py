"""The reference recommenders by name. Nothing heavy is imported before one is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recarena.recommenders.model_options import NO_EMBEDDER, EmbedderChoice, ModelChoice

if TYPE_CHECKING:
    from recarena.recommenders.llm_budget import Budget
    from recarena.recommenders.llm_rerank import LlmRerank
    from recarena.recommenders.numeric import NumericRecommender
    from recarena.recommenders.state import StateFolder


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line can tell a recommender."""

    seed: int = 0
    world: Path | None = None
    embedder: EmbedderChoice = NO_EMBEDDER
    model: ModelChoice | None = None
    budget: Budget | None = None
    """Of all runs together; there where there is a model."""
    first_stage: Callable[[], NumericRecommender] | None = None
    state: StateFolder | None = None
    """Where what is learned is kept; of a first stage where there is one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One reference recommender."""

    summary: str
    module: str
    class_name: str
    takes: tuple[str, ...] = ()
    """Fields of Options that its class is called with; all must be given."""

    def load(self) -> type[NumericRecommender | LlmRerank]:
        """Its class."""
        return getattr(import_module(f"recarena.recommenders.{self.module}"), self.class_name)

    def missing(self, options: Options) -> list[str]:
        """Options that it needs and that were not given."""
        return [name for name in self.takes if getattr(options, name) is None]

    def factory(self, options: Options) -> Callable[[], NumericRecommender | LlmRerank]:
        """Makes a fresh one for each run."""
        kind: Callable[..., Any] = self.load()
        if options.state is not None and "first_stage" not in self.takes:
            from recarena.recommenders.remembering import remembering

            kind = remembering(kind, options.state)
        arguments = {name: getattr(options, name) for name in self.takes}
        return lambda: kind(**arguments)


ROSTER = {
    "random": Entry(
        "a fresh order for every user and round", "random_order", "RandomOrder", ("seed",)
    ),
    "popular": Entry("what most have watched", "popular", "Popular"),
    "item-knn": Entry(
        "what those liked who liked the same (neighbours by cosine)", "item_knn", "ItemKnn"
    ),
    "ease": Entry("a linear item-to-item model in closed form (EASE)", "ease", "Ease"),
    "als": Entry("factors of users and items, by least squares on implicit feedback", "als", "Als"),
    "bpr": Entry("factors that rank what was liked above the rest (BPR)", "bpr", "Bpr"),
    "sequential": Entry(
        "what comes next after what was watched of late (linear, like SLIST)",
        "sequential",
        "Sequential",
    ),
    "bandit": Entry(
        "learns from what is shown and passed over, and explores (Thompson sampling)",
        "bandit",
        "Bandit",
        ("seed",),
    ),
    "content": Entry("more of what the user liked: genres, people, words", "content", "Content"),
    "hybrid": Entry(
        "like what was liked of late; search by words and meaning",
        "hybrid",
        "Hybrid",
        ("embedder",),
    ),
    "llm-rerank": Entry(
        "the best of --first-stage, put in order and explained by the language model --model",
        "llm_rerank",
        "LlmRerank",
        ("model", "budget", "first_stage"),
    ),
    "oracle": Entry(
        "cheats: ranks by the hidden truth of --world, to check a benchmark",
        "oracle",
        "Oracle",
        ("world",),
    ),
}
"""Name on the command line -> recommender."""
