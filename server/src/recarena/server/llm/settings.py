"""`[llm]`: users whose minds are language models, and what they may cost."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from recarena.server.llm.prices import Price
from recarena.server.section import Section

DEFAULT_KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openai-compatible": (),
}
"""Variables that keys are read from."""


OWN_PARAMETERS = frozenset(
    (
        "model", "max_tokens", "max_completion_tokens", "max_output_tokens", "messages", "input",
        "system", "instructions", "output_config", "text", "response_format", "stream", "n",
        "tools", "tool_choice", "background", "store",
    )
)  # fmt: skip
"""Parameters of calls that caps, forms and recordings rest on: nobody else may set them."""


class Replay(StrEnum):
    """What is done about calls that are recorded."""

    REUSE = "reuse"
    """Recorded calls are taken from the recording, others are made and recorded."""
    STRICT = "strict"
    """No call is ever made: what is not recorded ends the run."""


class LlmSettings(Section):
    """`[llm]`. Without `provider` there are no LLM minds."""

    provider: Literal["anthropic", "openai", "openai-compatible"] | None = None
    model: str = ""
    base_url: str = ""
    """Default: the provider's own."""
    api_key_env: tuple[str, ...] = ()
    """Names of the environment variables that hold the keys, never the keys; each may hold several,
    separated by commas. Default: ANTHROPIC_API_KEY or OPENAI_API_KEY."""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Passed on in each call as they are: temperature = 0.7, reasoning = { effort = "low" } ..."""
    strategy: Literal["merged", "faithful"] = "merged"
    activity: Literal["habits", "llm"] | None = None
    """Who decides what a user turns to in a round: the habits of the choice mind, or the model.
    Default: habits for merged, llm for faithful."""
    share: float | None = Field(default=None, ge=0, le=1)
    """Of the users who have an LLM mind, drawn by the seed; the others have the choice mind.
    Default: all, or none beside those of `users`."""
    users: tuple[str, ...] = ()
    """Ids of users who have an LLM mind whatever the draw says."""
    catalogue: Literal["films", "items"] | None = None
    """What the prompts call the items. Default: films where the world is one of films."""
    cohort_size: int = Field(default=4, ge=1, le=4096)
    """Users who take their steps together; small, so that nobody waits for the slowest of many."""
    workers: int = Field(default=1, ge=1, le=16)
    """Processes that send calls; 1: this one."""
    concurrency: int = Field(default=64, ge=1, le=4096)
    """Most calls under way per key."""
    concurrency_start: int = Field(default=10, ge=1, le=4096)
    """Calls under way per key at first."""
    timeout_s: float = Field(default=120.0, gt=0, le=3600)
    attempts: int = Field(default=6, ge=1, le=100)
    """Tries per call where the provider fails or does not answer; then the run pauses."""
    retry_after_cap_s: float = Field(default=60.0, ge=0)
    """Longest wait for room that a provider may ask for."""
    answer_tokens: int = Field(default=700, ge=50, le=100_000)
    """Most tokens of an answer; raise it for models that think first."""
    failure_limit: float = Field(default=0.02, ge=0, le=1)
    """Share of decisions that may fall back on their defaults; above it the run pauses."""
    max_cost: float | None = Field(default=None, ge=0)
    """Cap on the run's cost, in the currency of the prices."""
    max_tokens: int | None = Field(default=None, ge=0)
    """Cap on the run's tokens, in and out."""
    currency: str = "USD"
    prices: tuple[Price, ...] = ()
    """Prices of one's own, before those that come with the product."""
    probe: bool = True
    """Whether the model is looked at before the first round: one call."""
    replay: Replay = Replay.REUSE
    recording: str = ""
    """A run folder or an llm.sqlite whose calls are taken where they are the same."""

    @model_validator(mode="after")
    def _consistent(self) -> LlmSettings:
        if self.provider is None:
            for name, field in type(self).model_fields.items():
                if getattr(self, name) != field.get_default(call_default_factory=True):
                    raise ValueError(
                        f"{name} is set, but no provider; name one: --mind PROVIDER:MODEL, with "
                        "anthropic, openai or openai-compatible"
                    )
            return self
        if own := sorted(set(self.parameters) & OWN_PARAMETERS):
            raise ValueError(
                f"parameters: {own[0]} is set by RecArena itself (model, answer_tokens, prompts)"
            )
        if not self.model:
            raise ValueError("model is missing: the name by which the provider knows it")
        if self.provider == "openai-compatible" and not self.base_url:
            raise ValueError(
                "base_url is missing: where the server is, as http://localhost:8000/v1"
            )
        if self.base_url and not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url begins with http:// or https://")
        return self

    @property
    def share_of_users(self) -> float:
        """The share that is drawn."""
        if self.provider is None:
            return 0.0
        if self.share is None:
            return 0.0 if self.users else 1.0
        return self.share

    @property
    def keys_from(self) -> tuple[str, ...]:
        """Names of the variables that hold the keys."""
        return self.api_key_env or DEFAULT_KEYS[self.provider or "openai-compatible"]

    @property
    def asks_for_activity(self) -> bool:
        """Whether the model decides what a user turns to."""
        return (self.activity or ("llm" if self.strategy == "faithful" else "habits")) == "llm"
