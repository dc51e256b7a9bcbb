"""A stand-in for providers of language models, for their real SDKs; on the loopback only.

async with LlmStub(random_mind(1), Switches(latency_s=0.2)) as stub:
    AsyncAnthropic(base_url=stub.url, api_key="any")
    AsyncOpenAI(base_url=f"{stub.url}/v1", api_key="any")

with StubProcess(mind="obedient", seed=1, latency_s=0.2) as stub:
    stub.url, stub.counts(), stub.set(rate_limited=0.1)
"""

from support.llm_stub.asking import Asked, Mind, bare
from support.llm_stub.inquiries import reader_mind
from support.llm_stub.minds import random_mind, scripted_mind
from support.llm_stub.obedient import obedient_mind
from support.llm_stub.process import StubProcess
from support.llm_stub.sampling import fitted, problems, sample
from support.llm_stub.server import Call, LlmStub
from support.llm_stub.switches import Switches

__all__ = [
    "Asked",
    "Call",
    "LlmStub",
    "Mind",
    "StubProcess",
    "Switches",
    "bare",
    "fitted",
    "obedient_mind",
    "problems",
    "random_mind",
    "reader_mind",
    "sample",
    "scripted_mind",
]
