from __future__ import annotations

import pytest

from recarena.client import Capability, ItemColumns, ProtocolBroken, Recommender
from recarena.client.engagement import Engagement
from recarena.client.offer import Offer
from recarena.v1.session_pb2 import Registered

RANK = Capability.CAPABILITY_RANK
SEARCH = Capability.CAPABILITY_SEARCH
CONVERSE = Capability.CAPABILITY_CONVERSE
COLUMNAR = Capability.CAPABILITY_COLUMNAR
EXPLAIN = Capability.CAPABILITY_EXPLAIN


class Rich(Recommender):
    def rank(self, queries):
        return [[] for _ in queries]


class Columns(Recommender):
    def rank_columns(self, batch):
        return ItemColumns(())


class Both(Rich, Columns):
    pass


def features(kind, **offer):
    return Offer(recommender_id="r", **offer).features(kind())


def with_methods(base, *names):
    return type("Made", (base,), {name: lambda self, argument: None for name in names})


def test_what_is_overridden_is_offered():
    assert features(Rich) == {RANK}
    assert features(with_methods(Rich, "search")) == {RANK, SEARCH}
    assert features(with_methods(Rich, "search", "converse")) == {RANK, SEARCH, CONVERSE}


def test_columnar_is_offered_where_rank_columns_is_overridden():
    assert features(Columns) == {RANK, COLUMNAR}
    assert features(Both) == {RANK, COLUMNAR}
    assert features(Both, encoding="rich") == {RANK}
    assert features(with_methods(Columns, "search_columns")) == {RANK, COLUMNAR, SEARCH}


@pytest.mark.parametrize("rich", ["search", "feedback"])
def test_columnar_is_not_offered_while_a_rich_method_has_no_columnar_form(rich):
    half = with_methods(Both, rich)
    assert COLUMNAR not in features(half)
    with pytest.raises(TypeError, match=f"no {rich}_columns"):
        features(half, encoding="columnar")
    assert COLUMNAR in features(with_methods(half, f"{rich}_columns"))


@pytest.mark.parametrize(
    ("kind", "encoding"), [(Recommender, "auto"), (Columns, "rich"), (Rich, "columnar")]
)
def test_a_recommender_that_cannot_rank_is_no_recommender(kind, encoding):
    with pytest.raises(TypeError, match="has no rank"):
        features(kind, encoding=encoding)


def test_capabilities_may_be_named_instead():
    assert features(with_methods(Rich, "search"), capabilities=(EXPLAIN,)) == {RANK, EXPLAIN}


def test_a_recommender_without_rich_methods_needs_a_columnar_server():
    offer = Offer(recommender_id="r")
    offer.check(Registered(capabilities=[RANK, COLUMNAR]), Columns())
    offer.check(Registered(capabilities=[RANK]), Both())
    with pytest.raises(ProtocolBroken, match="does not know COLUMNAR"):
        offer.check(Registered(capabilities=[RANK]), Columns())
    with pytest.raises(ProtocolBroken, match="does not know COLUMNAR"):
        Offer(recommender_id="r", encoding="columnar").check(Registered(), Both())


def test_a_new_instance_registers_without_a_past():
    offer = Offer(recommender_id="r", software_version="7", max_users_per_work=9)
    register = offer.register("i-1", Engagement(Rich()))
    assert (register.recommender_id, register.instance_id) == ("r", "i-1")
    assert (register.software_name, register.software_version) == ("Rich", "7")
    assert (register.resume_run_id, register.feedback_cursor) == ("", "")
    assert register.max_users_per_work == 9
