"""A look at a model before a run: does it keep to a schema, does it say what it used, does it read
a prompt to its end? Compatible servers differ in all three, and few say so."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from recarena.server.errors import InputError
from recarena.server.llm.calls import Asker, Prompt, Turn, Unreadable
from recarena.server.llm.forms import JsonForm
from recarena.server.llm.thinker import Thinker

CANARY = "heliotrope"
CANARY_CHARACTERS = 16_000
"""About 4,000 tokens: more than any of our prompts has."""
_FILLING = "The shop on the corner sells bread, thread, lamps and string. "


class _Probed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    colour: str
    number: int


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found."""

    keeps_schema: bool
    """The answer was the JSON object that the schema wants, and nothing around it."""
    tells_usage: bool
    reads_to_the_end: bool
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


async def probe(thinker: Thinker) -> Probe:
    """Asks one question. InputError where the model reads only a part of what it is sent: nothing
    that a user remembers would reach it."""
    long = _FILLING * (CANARY_CHARACTERS // len(_FILLING))
    text = (
        f"The code word is {CANARY}. Here is a text of no interest.\n\n{long}\n\n"
        "Answer with one JSON object: `colour` is the code word from the beginning of this "
        "message, `number` is 7."
    )
    form = JsonForm("probe", _Probed)
    prompt = Prompt(
        "probe@1", "You answer exactly in the form that is asked for.", (Turn("user", text),),
        thinker.settings.answer_tokens, form.name, form.schema,
    )  # fmt: skip
    answer = await thinker.ask(prompt, Asker(0, -1, "probe"))
    where = f"{thinker.api.name} {thinker.settings.model}"
    if answer.reply is None:
        raise InputError(f"the model does not take a plain question: {answer.problem}", where=where)
    said, usage = answer.reply.text, answer.reply.usage
    reads = CANARY in said.lower()
    try:
        _, keeps = form.read(said)
        problem = "" if keeps else "something stands around the JSON object"
    except Unreadable as error:
        keeps, problem = False, error.problem
    sent = usage.prompt
    cut = not reads and sent is not None and sent < len(text) // 12
    if cut or (not reads and _looks_cut(said)):
        raise InputError(
            f"of a prompt of about {len(text) // 4:,} tokens the model read "
            f"{'only ' + format(sent, ',') if sent else 'only a part'}, and nobody said so",
            where=where,
            remedy="Give the server a longer context (Ollama: num_ctx; llama.cpp: --ctx-size; "
            "vLLM: --max-model-len), or set llm.probe = false",
        )
    return Probe(keeps, usage.total is not None, reads, problem)


def _looks_cut(said: str) -> bool:
    """Whether an otherwise well-formed answer lacks what stood at the beginning."""
    try:
        value = json.loads(said)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("number") == 7
