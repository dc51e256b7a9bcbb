"""`[memory]`: how users with LLM minds remember."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from recarena.server.section import Section


class MemoryModel(StrEnum):
    """Which memory users have."""

    LAYERS = "layers"
    """Sensory, short-term and long-term memory, with forgetting and reflection."""
    SIMPLE = "simple"
    """The last `recent` + `recall` memories, word for word, and nothing before them."""
    NONE = "none"
    """Nothing: not even what was watched."""


class MemorySettings(Section):
    """`[memory]`. The defaults start from RecAgent's constants where those work
    (docs/decisions/0016)."""

    model: MemoryModel = MemoryModel.LAYERS
    embedder: Literal["hash", "openai-compatible", "minilm"] = "hash"
    embedder_model: str = ""
    """openai-compatible: name of the model. minilm: folder with model.onnx and tokenizer.json."""
    base_url: str = ""
    """openai-compatible: where /embeddings is, as http://localhost:8000/v1."""
    api_key_env: str = ""
    """Variable that holds its key."""
    keep_above: float = Field(default=0.2, ge=0, le=1)
    """Sensory memory: what is less important is gone at the end of the round."""
    short_term: int = Field(default=10, ge=0, le=1000)
    """Memories that short-term memory holds."""
    enhance_to_keep: int = Field(default=3, ge=1)
    """K: so many similar observations consolidate a memory."""
    similar_above: float | None = Field(default=None, ge=-1, le=1)
    """Cosine from which on two memories are similar. Default: the embedder's own, at which about
    one pair of unrelated memories in a hundred would be taken for similar."""
    recall: int = Field(default=5, ge=0, le=100)
    """k: memories that come to mind for a decision."""
    recent: int = Field(default=3, ge=0, le=100)
    """Newest memories that are always there."""
    relevance_weight: float = Field(default=2.0, ge=0)
    """What relevance to the decision weighs beside recency and importance, which weigh 1 each."""
    recency_half_life: float = Field(default=8.0, gt=0)
    """Rounds since a memory was last recalled after which its recency counts half."""
    forgetting: bool = True
    strength: float = Field(default=20.0, gt=0)
    """S of a memory of no importance that was never recalled, in rounds: after S of them it is
    still there with probability 1/e."""
    recall_strengthens: float = Field(default=1.5, ge=1)
    """Factor of S with each round in which a memory came to mind."""
    consolidated: float = Field(default=4.0, ge=1)
    """Factor of S of consolidated memories and insights."""
    reflection: bool = True
    reflect_above: float = Field(default=3.0, gt=0)
    """Summed importance since the last reflection from which on a user reflects."""
    reflect_every: int = Field(default=5, ge=1)
    """R: rounds between two reflections of a user, at least."""

    @model_validator(mode="after")
    def _complete(self) -> MemorySettings:
        if self.embedder == "openai-compatible" and not (self.base_url and self.embedder_model):
            raise ValueError("embedder openai-compatible needs base_url and embedder_model")
        if self.embedder == "minilm" and not self.embedder_model:
            raise ValueError("embedder minilm needs embedder_model: the folder with its weights")
        return self
