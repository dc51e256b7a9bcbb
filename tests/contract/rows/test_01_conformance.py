"""One script for the clients of all languages: tests/conformance has the cases and the programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.cases import CASES
from conformance.client import playing
from conformance.programs import PROGRAMS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("language", PROGRAMS)
async def test_a_client_does_as_the_contract_says(language: str, name: str, tmp_path: Path):
    case = CASES[name]
    async with playing(PROGRAMS[language], case.options, tmp_path / "said") as client:
        await case.act(client)
