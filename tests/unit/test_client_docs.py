from __future__ import annotations

import inspect
import re
from pathlib import Path

import grpc
import grpc.aio
import pytest

import recarena.client
from recarena.client import ClientError, Recommender, Refused, errors, serve, serve_async
from recarena.client.errors import FINAL, one_line, refusal
from recarena.client.serving import FIRST_DELAY, LONGEST_DELAY, backoff

PYTHON = Path(__file__).resolve().parents[2] / "clients" / "python"
README = (PYTHON / "README.md").read_text()


def test_the_readme_shows_the_example_as_it_is():
    example = (PYTHON / "examples" / "twenty_lines.py").read_text()
    assert example in re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_page_on_explanations_shows_the_example_as_it_is():
    example = (PYTHON / "examples" / "explaining.py").read_text()
    page = (PYTHON.parents[1] / "docs" / "explanations.md").read_text()
    assert example in re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def test_the_example_has_twenty_lines():
    example = (PYTHON / "examples" / "twenty_lines.py").read_text()
    assert len([line for line in example.splitlines() if line.strip()]) == 20


def test_the_readme_names_every_method_option_and_error():
    methods = [name for name in vars(Recommender) if not name.startswith("_")]
    options = list(inspect.signature(serve).parameters)
    failures = [name for name, kind in vars(errors).items() if is_error(kind)]
    missing = [name for name in methods + options + failures if f"`{name}" not in README]
    assert missing == []


def test_serve_and_serve_async_take_the_same():
    assert inspect.signature(serve) == inspect.signature(serve_async)


def test_the_error_tree_is_drawn_whole():
    drawn = set(re.findall(r"^(?:[│ ]*[├└]── )?(\w+)  +", errors.__doc__, re.MULTILINE))
    assert drawn == {name for name, kind in vars(errors).items() if is_error(kind)}


def test_everything_public_is_there():
    assert sorted(recarena.client.__all__, key=str.lower) == sorted(
        set(recarena.client.__all__), key=str.lower
    )
    for name in recarena.client.__all__:
        assert hasattr(recarena.client, name)
    assert {n for n, kind in vars(errors).items() if is_error(kind)} <= set(recarena.client.__all__)


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_a_status_is_final_or_worth_coming_back_for(code):
    error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "why\tnot")
    found = refusal(error)
    if code in FINAL:
        assert isinstance(found, Refused)
        assert str(found) == f"the server refused: why not ({code.name})"
    else:
        assert found is None


def test_words_of_the_server_stay_on_one_short_line():
    assert one_line("a\n\x1b[31mb  c") == "a [31mb c"
    assert len(one_line("x" * 1000)) == 300


def test_waiting_grows_and_is_capped():
    assert all(FIRST_DELAY / 2 <= backoff(0) <= FIRST_DELAY for _ in range(100))
    assert all(LONGEST_DELAY / 2 <= backoff(1000) <= LONGEST_DELAY for _ in range(100))


def is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, ClientError)
