from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.client import ItemColumns, Ranked, RankedItem, Reply, WrongAnswer
from recarena.client.answers import WireItems, put_columns, put_lists, put_reply
from recarena.v1.types_pb2 import Explanation
from recarena.v1.work_pb2 import ConverseResult, RankBatchResult, RankedList, RankResult

KNOWN = {f"item-{n}" for n in range(50)}


def lists(*answers, wanted=None):
    result = RankResult()
    put_lists(result, "rank", answers, len(answers) if wanted is None else wanted, WireItems(KNOWN))
    return result


def columns(numbers, lengths=(), *, users=2, count=2):
    result = RankBatchResult()
    put_columns(result, "rank_columns", ItemColumns(numbers, lengths), users, count)
    return result


def test_plain_ids_become_lists_in_the_order_of_the_queries():
    assert lists(["item-1", "item-2"], [], ("item-3",)) == RankResult(
        complete=True,
        lists=[
            RankedList(
                query_index=0, items=[RankedItem(item_id="item-1"), RankedItem(item_id="item-2")]
            ),
            RankedList(query_index=1),
            RankedList(query_index=2, items=[RankedItem(item_id="item-3")]),
        ],
    )


@given(st.lists(st.lists(st.text(max_size=40)), max_size=8))
def test_the_fast_way_and_the_plain_way_give_the_same_message(answers):
    plain = RankResult(complete=True)
    for index, answer in enumerate(answers):
        items = [RankedItem(item_id=item) for item in answer]
        plain.lists.add(query_index=index, items=items)
    assert lists(*answers) == plain


def test_messages_keep_their_scores_and_explanations():
    item = RankedItem(item_id="item-1", score=0.5, explanation=Explanation(text="you liked it"))
    assert list(lists([item]).lists[0].items) == [item]


def test_a_list_may_mix_ids_and_messages_and_carry_a_token():
    message = RankedItem(item_id="item-2", score=1.0)
    (found,) = lists(Ranked(["item-1", message], token="t")).lists
    assert found.attribution_token == "t"
    assert list(found.items) == [RankedItem(item_id="item-1"), message]


def test_ids_outside_the_catalogue_are_sent_but_not_kept():
    wire = WireItems({"a"})
    result = RankResult()
    put_lists(result, "rank", [["a", "nonsense"]], 1, wire)
    assert [item.item_id for item in result.lists[0].items] == ["a", "nonsense"]
    assert set(wire) == {"a"}


@pytest.mark.parametrize(
    ("answers", "wanted", "text"),
    [
        ([["item-1"]], 2, "rank returned 1 lists for 2 queries"),
        ([["item-1"], ["item-1"]], 1, "rank returned 2 lists for 1 queries"),
        (None, 1, "rank returned NoneType, not a list of lists"),
        ([[1, 2]], 1, "rank, list 0: TypeError"),
        (["item-1"], 1, "one string 'item-1' where a list of item ids is wanted"),
        ([["item-1"], None], 2, "rank, list 1: TypeError"),
        ([["item-1", 7]], 1, "rank, list 0: TypeError"),
    ],
)
def test_an_answer_that_does_not_fit_says_what_is_wrong(answers, wanted, text):
    with pytest.raises(WrongAnswer) as caught:
        put_lists(RankResult(), "rank", answers, wanted, WireItems(KNOWN))
    assert text in str(caught.value)


def test_columns_of_one_length_need_no_lengths():
    assert columns([1, 2, 3, 4]) == RankBatchResult(item_numbers=[1, 2, 3, 4])


def test_columns_of_several_lengths():
    found = columns([1, 2, 3], [1, 2])
    assert found == RankBatchResult(item_numbers=[1, 2, 3], list_lengths=[1, 2])


def test_arrays_matrices_and_generators_are_columns_too():
    numpy = pytest.importorskip("numpy")
    wanted = columns([1, 2, 3, 4])
    assert columns(numpy.array([1, 2, 3, 4], numpy.uint32)) == wanted
    assert columns(numpy.array([[1, 2], [3, 4]])) == wanted
    assert columns(array.array("I", [1, 2, 3, 4])) == wanted
    assert columns(n for n in (1, 2, 3, 4)) == wanted
    assert columns([1, 2, 3], numpy.array([1, 2])) == columns([1, 2, 3], [1, 2])


@pytest.mark.parametrize(
    ("numbers", "lengths", "text"),
    [
        ([1, 2, 3], (), "rank_columns returned 3 items for 2 users × 2"),
        ([1, 2, 3], [3], "rank_columns returned 1 list_lengths for 2 users"),
        ([1, 2, 3], [1, 1], "rank_columns returned 3 items, but list_lengths add up to 2"),
        ([1, -2, 3, 4], (), "rank_columns: ValueError"),
        (["1", "2", "3", "4"], (), "rank_columns: TypeError"),
        (None, (), "rank_columns: TypeError"),
    ],
)
def test_columns_that_do_not_fit_say_what_is_wrong(numbers, lengths, text):
    with pytest.raises(WrongAnswer) as caught:
        columns(numbers, lengths)
    assert text in str(caught.value)


def test_columns_must_be_item_columns():
    with pytest.raises(WrongAnswer, match="rank_columns returned list, not ItemColumns"):
        put_columns(RankBatchResult(), "rank_columns", [1, 2], 1, 2)


def test_a_reply_offers_items():
    result = ConverseResult()
    put_reply(result, "converse", Reply("Try this", ["item-1"], token="t"))
    assert result == ConverseResult(
        reply_text="Try this", items=[RankedItem(item_id="item-1")], attribution_token="t"
    )


@pytest.mark.parametrize("reply", ["Try this", None, Reply(5), Reply("x", "item-1")])
def test_a_reply_that_is_none_is_a_wrong_answer(reply):
    with pytest.raises(WrongAnswer, match="converse"):
        put_reply(ConverseResult(), "converse", reply)
