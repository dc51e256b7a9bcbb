"""Language models behind their makers' SDKs: a question with a schema, an answer in text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recarena.recommenders.model_options import ModelChoice

RETRIES = 2
"""By the SDK: when there is no room, the provider is busy, or a connection breaks."""
FORM = "picks"
"""Name of the schema, where a provider wants one."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """One call."""

    system: str
    user: str
    schema: dict[str, Any]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """What came back."""

    text: str
    tokens: int | None
    """In and out together; None where the provider did not say."""


class ModelFailed(Exception):
    """There is no answer that could be read.

    `kind` is counted: refused, cut, or the name of the SDK's error. `for_good` says that asking
    again changes nothing (key, rights, model). `free` says that nothing was used.
    """

    def __init__(self, kind: str, why: str, *, for_good: bool = False, free: bool = False) -> None:
        super().__init__(why)
        self.kind, self.for_good, self.free = kind, for_good, free


class LanguageModel(ABC):
    """One provider's model. Temperature is 0 where the provider takes one."""

    def __init__(self, choice: ModelChoice, sdk: Any, client: Any) -> None:
        self.model = choice.model
        self.client = client
        self._sdk = sdk
        self._settings: dict[str, Any] = {}

    @abstractmethod
    async def create(self, question: Question) -> Any:
        """The SDK's response."""

    @abstractmethod
    def read(self, response: Any) -> Said:
        """What it says. ModelFailed for a refusal, or an answer that was cut."""

    async def ask(self, question: Question) -> Said:
        """The answer to a question. ModelFailed."""
        try:
            response = await self.create(question)
        except self._sdk.BadRequestError as error:
            # Models that think take no temperature; what they answer is then as they please.
            if "temperature" in self._settings and "temperature" in str(error).lower():
                del self._settings["temperature"]
                return await self.ask(question)
            raise failure(error, free=True) from None
        except self._sdk.APIStatusError as error:
            final = error.status_code in (401, 403, 404)
            raise failure(error, for_good=final, free=True) from None
        except self._sdk.APIError as error:
            raise failure(error) from None
        except (TypeError, ValueError) as error:
            # What the SDK makes of a body that is not the provider's.
            raise failure(error) from None
        try:
            return self.read(response)
        except (AttributeError, IndexError, TypeError) as error:
            raise ModelFailed("malformed", f"a response in another form: {error}") from None

    async def close(self) -> None:
        """Closes all connections."""
        await self.client.close()


class AnthropicModel(LanguageModel):
    """Anthropic's Messages. The SDK has no temperature."""

    async def create(self, question: Question) -> Any:
        """See LanguageModel."""
        return await self.client.messages.create(
            model=self.model,
            max_tokens=question.max_tokens,
            system=question.system,
            messages=[{"role": "user", "content": question.user}],
            output_config={"format": {"type": "json_schema", "schema": question.schema}},
        )

    def read(self, response: Any) -> Said:
        """See LanguageModel."""
        if response.stop_reason == "refusal":
            raise ModelFailed("refused", "the model refused")
        if response.stop_reason == "max_tokens":
            raise cut()
        text = "".join(block.text for block in response.content if block.type == "text")
        return Said(text, added(response.usage, "input_tokens", "output_tokens"))


class OpenAiModel(LanguageModel):
    """OpenAI's Responses; nothing is kept at the provider."""

    def __init__(self, choice: ModelChoice, sdk: Any, client: Any) -> None:
        super().__init__(choice, sdk, client)
        self._settings["temperature"] = 0

    async def create(self, question: Question) -> Any:
        """See LanguageModel."""
        return await self.client.responses.create(
            model=self.model,
            instructions=question.system,
            input=question.user,
            max_output_tokens=question.max_tokens,
            store=False,
            text={
                "format": {
                    "type": "json_schema",
                    "name": FORM,
                    "schema": question.schema,
                    "strict": True,
                }
            },
            **self._settings,
        )

    def read(self, response: Any) -> Said:
        """See LanguageModel."""
        parts = [part for one in response.output if one.type == "message" for part in one.content]
        if any(part.type == "refusal" for part in parts):
            raise ModelFailed("refused", "the model refused")
        if response.status == "incomplete":
            raise cut()
        return Said(response.output_text, added(response.usage, "input_tokens", "output_tokens"))


class CompatibleModel(LanguageModel):
    """Chat completions, as vLLM, Ollama, llama.cpp, LM Studio and others speak it."""

    def __init__(self, choice: ModelChoice, sdk: Any, client: Any) -> None:
        super().__init__(choice, sdk, client)
        self._settings["temperature"] = 0

    async def create(self, question: Question) -> Any:
        """See LanguageModel. `max_tokens` is the name that all compatible servers know."""
        return await self.client.chat.completions.create(
            model=self.model,
            messages=[
                {"role": "system", "content": question.system},
                {"role": "user", "content": question.user},
            ],
            max_tokens=question.max_tokens,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": FORM, "schema": question.schema, "strict": True},
            },
            **self._settings,
        )

    def read(self, response: Any) -> Said:
        """See LanguageModel."""
        choice = response.choices[0]
        if choice.message.refusal or choice.finish_reason == "content_filter":
            raise ModelFailed("refused", "the model refused")
        if choice.finish_reason == "length":
            raise cut()
        text = choice.message.content or ""
        return Said(text, added(response.usage, "prompt_tokens", "completion_tokens"))


def model_for(choice: ModelChoice) -> LanguageModel:
    """The model that was chosen. Its SDK takes a while to load; only the one needed is."""
    base_url = choice.base_url or None
    if choice.provider == "anthropic":
        import anthropic

        client = anthropic.AsyncAnthropic(
            api_key=choice.key, base_url=base_url, max_retries=RETRIES
        )
        return AnthropicModel(choice, anthropic, client)
    import openai

    # Servers of one's own seldom want a key, the SDK always does.
    key = choice.key or "none"
    other = openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=RETRIES)
    kind = OpenAiModel if choice.provider == "openai" else CompatibleModel
    return kind(choice, openai, other)


def cut() -> ModelFailed:
    """The answer was longer than it may be."""
    return ModelFailed("cut", "the answer was cut: --answer-tokens gives it more room")


def failure(error: Exception, *, for_good: bool = False, free: bool = False) -> ModelFailed:
    """An error of an SDK, in one line."""
    said = " ".join(str(error).split())[:300]
    return ModelFailed(type(error).__name__, said, for_good=for_good, free=free)


def added(usage: Any, *names: str) -> int | None:
    """The sum of these counts, None where one is missing."""
    counts = [getattr(usage, name, None) for name in names]
    whole = [count for count in counts if isinstance(count, int) and count >= 0]
    return sum(whole) if len(whole) == len(names) else None
