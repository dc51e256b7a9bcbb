"""The lists of hybrid go by what was liked of late, and better than by fame."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from recarena.client import Catalog
from recarena.recommenders.choosing import chosen
from recarena.recommenders.cli import command
from recarena.recommenders.content import Content
from recarena.recommenders.embedding import NoVectors
from recarena.recommenders.hybrid import RECENT, Hybrid
from recarena.recommenders.model_options import EmbedderChoice, Unusable, WrongOption
from recarena.recommenders.popular import Popular
from recarena.recommenders.roster import ROSTER
from recarena.v1.types_pb2 import Evidence, Interaction, Item
from support.figures import report
from support.llm_stub import StubProcess
from support.recommender_worlds import Planted, columns, info, lists, play

RATE, VIEW = Interaction.TYPE_RATE, Interaction.TYPE_VIEW_ITEM
KINDS = ("western desert sheriff horses", "opera singer stage violin", "robot space laser planet")


def films(each: int = 40) -> list[Item]:
    """Three kinds of films by their descriptions alone, one kind behind the other."""
    return [
        Item(item_id=f"i{kind * each + n}", title=f"T{kind}{n}", description=f"{words} k{kind}")
        for kind, words in enumerate(KINDS)
        for n in range(each)
    ]


def taught(rounds: list[list[tuple]], items: list[Item], users: int = 4) -> Hybrid:
    recommender = Hybrid()
    recommender.start(info(Catalog.of("v1", items), users))
    for round, rows in enumerate(rounds):
        recommender.feedback_columns(columns(round, rows))
        recommender.ready(round + 1)
    return recommender


def kinds(page: np.ndarray, each: int = 40) -> list[int]:
    return (page // each).tolist()


def mostly(found: list[int]) -> int:
    """The kind that fills a page but for a place or two."""
    kind, count = Counter(found).most_common(1)[0]
    assert count > 2, found
    return kind


def test_what_a_user_liked_leads_to_more_of_its_kind():
    nan = math.nan
    rows = [(0, 1, RATE, 5.0), (0, 41, RATE, 1.0), (1, 45, VIEW, nan), (2, 81, RATE, 4.0)]
    pages = lists(taught([rows], films()), 4)
    # The other places are of the few that anybody has watched: fame is a part of the score.
    assert [mostly(kinds(page)) for page in pages[:3]] == [0, 1, 2]


def test_what_was_liked_last_counts_most_and_what_is_long_ago_nothing():
    rows = [[(0, item, RATE, 4.0) for item in range(n * 5, n * 5 + 5)] for n in range(3)]
    later = [(0, item, RATE, 4.0) for item in range(40, 43)]
    recommender = taught([*rows, later], films())
    first, second = (recommender.personal(np.zeros(1, np.int32))[0, at : at + 40].mean()
                     for at in (0, 40))  # fmt: skip
    assert 0 < second < first  # three of late against fifteen before
    many = [[(0, 40 + n * 5 + item, RATE, 4.0) for item in range(5)] for n in range(RECENT // 5)]
    changed = taught([*rows, *many], films())
    scores = changed.personal(np.zeros(1, np.int32))[0]
    assert scores[40:80].mean() > 0.5 > 0.3 > scores[:40].mean()


def test_it_follows_a_user_into_another_catalogue():
    rows = [(0, 41, RATE, 5.0), (0, 1, RATE, 1.0), (1, 2, RATE, 5.0)]
    recommender = taught([rows], films())
    items = films()
    recommender.catalog_changed(info(Catalog.of("v2", items[2:][::-1]), 4))
    recommender.ready(2)
    page = lists(recommender, 2)
    titles = [[recommender.run.catalog.items[item].title for item in one] for one in page]
    assert [mostly([int(title[1]) for title in one]) for one in titles] == [1, 0]


def test_a_reason_names_the_liked_item_that_is_most_alike():
    rows = [(0, 1, RATE, 5.0), (0, 41, RATE, 5.0), (0, 81, RATE, 1.0)]
    recommender = taught([rows], films())
    found = recommender.reasons(0, np.array([2, 42, 82], np.int32))
    assert [reason and reason.text for reason in found] == [
        "Similar to T01, which you watched.",
        "Similar to T11, which you watched.",
        None,
    ]
    assert found[0] is not None
    (evidence,) = found[0].evidence
    assert (evidence.kind, evidence.reference) == (Evidence.KIND_ITEM, "i1")
    assert recommender.reasons(-1, np.array([2], np.int32)) == [None]


def test_in_a_planted_world_it_is_well_above_fame():
    worth = {}
    for kind in (Popular, Content, Hybrid):
        worth[kind.__name__] = float(
            np.mean([play(Planted(200, 120, s), kind(), 4) for s in (1, 2)])
        )
    report("planted worth of pages", **{name: round(mean, 3) for name, mean in worth.items()})
    assert worth["Hybrid"] > worth["Popular"] + 0.4


def options(*words: str, environ: dict[str, str] | None = None):
    given = command().parse_args(["hybrid", *words])
    return chosen(given, ROSTER["hybrid"], environ or {})


def test_an_embedder_is_chosen_by_name():
    assert options().embedder == EmbedderChoice()
    server = ["--embedder", "openai-compatible:m:latest", "--base-url", "http://127.0.0.1:1/v1"]
    found = options(*server, environ={"OPENAI_API_KEY": " k "}).embedder
    assert found == EmbedderChoice("m:latest", "http://127.0.0.1:1/v1", "k")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--embedder", "minilm"], "it is lsa or openai-compatible:MODEL"),
        (["--embedder", "openai-compatible:"], "it is lsa or openai-compatible:MODEL"),
        (["--embedder", "openai-compatible:m"], "needs --base-url"),
    ],
)
def test_an_embedder_that_is_none_is_refused(words: list[str], said: str):
    with pytest.raises(WrongOption, match=said):
        options(*words)


def test_without_the_sdk_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("recarena.recommenders.model_options.find_spec", lambda _: None)
    with pytest.raises(Unusable, match=r"openai is not installed: pip install .*\[llm\]"):
        options("--embedder", "openai-compatible:m", "--base-url", "http://127.0.0.1:1")


def test_lists_go_by_the_vectors_of_a_server():
    with StubProcess() as stub:
        recommender = Hybrid(EmbedderChoice("m", f"{stub.url}/v1"))
        recommender.start(info(Catalog.of("v1", films()), 4))
        recommender.feedback_columns(columns(0, [(0, 41, RATE, 5.0)]))
        recommender.ready(1)
        assert kinds(lists(recommender, 1)[0]) == [1] * 5
        stub.set(server_error=1.0)
        with pytest.raises(NoVectors, match="InternalServerError"):
            recommender.catalog_changed(recommender.run)
