"""One script for the clients of all languages: the probe suite of the conformance kit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance.programs import HERE, PROGRAMS, unbuilt
from recarena.conformance.findings import Unmet
from recarena.conformance.probe.cases import CASES
from recarena.conformance.probe.client import playing
from support.thoroughness import THOROUGH

pytestmark = pytest.mark.slow


PLAYED = [
    (language, name)
    for at, language in enumerate(PROGRAMS)
    for number, name in enumerate(CASES)
    if THOROUGH or language == "python" or number % 3 == at % 3
]
"""Every case with Python; of the others, where it is not to be thorough, another third each."""


@pytest.mark.parametrize(("language", "name"), PLAYED)
async def test_a_client_does_as_the_contract_says(language: str, name: str, tmp_path: Path):
    if reason := unbuilt(language):
        pytest.skip(reason)
    case = CASES[name]
    async with playing(PROGRAMS[language], case.options, tmp_path / "said") as client:
        await case.scene(client)


SABOTAGED = {
    "applies_a_repeated_cursor_once-rich": """
from recarena.client import engagement
class Forgetful(set):
    def __contains__(self, cursor): return False
engagement.set = Forgetful""",
    "does_not_answer_what_was_withdrawn-rich": """
from recarena.client.work import Works
Works.cancel = lambda self, work_id: None""",
    "sends_no_message_larger_than_allowed-rich": """
from recarena.client.work import Works
Works.max_bytes = property(lambda self: 2**30, lambda self, value: None)""",
    "gives_each_run_a_fresh_instance": """
one = recommender.Conforming()
recommender.Conforming = lambda: one""",
}
"""Case -> what would make a client fail it."""


@pytest.mark.parametrize("name", SABOTAGED)
async def test_a_client_that_does_otherwise_is_found_out(name: str, tmp_path: Path):
    head = f"import sys; sys.path.insert(0, {str(HERE)!r}); import recommender"
    code = f"{head}\n{SABOTAGED[name]}\nsys.exit(recommender.main())"
    case = CASES[name]
    async with playing([sys.executable, "-c", code], case.options, tmp_path / "said") as client:
        with pytest.raises(Unmet, match=r"\A(?!it left)"):
            await case.scene(client)
