"""What the bridge asks of a service, and what it makes of the answers."""

from __future__ import annotations

import logging
from dataclasses import replace

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recarena.bridge.counts import Counts
from recarena.bridge.errors import ServiceFailed
from recarena.bridge.lists import Entry, Found, Wanted, answered
from recarena.bridge.service import retry_after
from recarena.client import Catalog, FeedbackBatch, Impression, Interaction, Item
from support.bridges import BASE, ITEMS, RANK, bridge, loaded, query, search

RATE, VIEW = Interaction.Type.TYPE_RATE, Interaction.Type.TYPE_VIEW_ITEM


def ids(answer) -> list[str]:
    return [item.item_id for item in answer.items]


# ------------------------------------------------------------------------------ lists
@given(
    st.lists(st.sampled_from([*ITEMS, "x1", "x2"]), max_size=20),
    st.integers(1, 5),
    st.integers(0, 6),
    st.frozensets(st.sampled_from(ITEMS)),
)
def test_a_page_is_cut_from_what_may_be_shown(service_ids, count, offset, excluded):
    mapping = loaded()
    assert mapping.mapping.rank is not None
    known = mapping.ids.of_catalog(ITEMS)
    wanted = Wanted(count=count, offset=offset, excluded=excluded)
    found = Found([Entry(one) for one in service_ids])
    page = ids(answered(found, wanted, mapping.mapping.rank, known, Counts()))
    good = [one for one in dict.fromkeys(service_ids) if one in ITEMS and one not in excluded]
    assert page == good[offset : offset + count]


async def test_enough_is_asked_for_that_a_page_is_left():
    mapping = loaded(BASE + RANK + "extra = 2\nmost = 20\n")
    async with bridge(mapping, lambda _: ["i0", "i1", "nope", "i1", 5, *ITEMS[2:]]) as (one, stub):
        (page,) = await one.rank([query(count=2, offset=2, excluded=("i2",))])
        assert ids(page) == ["i3", "i4"]
        await one.rank([query(count=15, offset=15)])
        counts = one._counts
    assert stub.asked == ["GET /for/u1?n=7", "GET /for/u1?n=20"]
    assert (counts.lists, counts.failed) == (0, 0)  # told and begun anew


async def test_a_service_that_pages_is_told_the_offset():
    text = BASE + (
        '[rank]\npath = "/"\n'
        'query = { n = "{wanted}", from = "{offset}", not = "{excluded_ids}" }\n'
        'paging = "service"\nexclusions = "service"\n'
    )
    async with bridge(loaded(text), lambda _: ["i5", "i6", "i7"]) as (one, stub):
        (page,) = await one.rank([query(count=2, offset=4, excluded=("i1", "i2"))])
    assert stub.asked == ["GET /?n=2&from=4&not=i1%2Ci2"]
    assert ids(page) == ["i5", "i6"]


async def test_scores_explanations_and_tokens_are_taken_where_they_are():
    text = BASE + RANK + (
        'items = "r.list"\nid = "n"\nscore = "s"\nexplanation = "why"\ntoken = "r.id"\n'
    )  # fmt: skip
    said = {"r": {"id": 77, "list": [{"n": "i1", "s": 2, "why": "Old."}, {"n": "i2", "s": "?"}]}}
    asked = query()
    asked.explanation_mode = 2
    async with bridge(loaded(text), lambda _: said) as (one, _):
        explained, plain = await one.rank([asked, query(user="u2")])
    assert explained.token == "77"
    assert (explained.items[0].score, explained.items[0].explanation.text) == (2.0, "Old.")
    assert not explained.items[1].HasField("score")
    assert not plain.items[0].HasField("explanation")


async def test_many_users_are_told_apart_by_order_by_key_or_by_name():
    def asked(lists: str, said):
        return loaded(f'{BASE}[batch]\npath = "/"\nbody = ["{{user_ids}}"]\n{lists}'), said

    ways = [
        asked("", [["i1"], ["i2"]]),
        asked('lists = "@.all"\n', {"all": {"u2": ["i2"], "u1": ["i1"]}}),
        asked('user = "u"\nitems = "l"\n', [{"u": "u2", "l": ["i2"]}, {"u": "u1", "l": ["i1"]}]),
    ]
    for mapping, said in ways:
        async with bridge(mapping, lambda _, said=said: said) as (one, stub):
            pages = await one.rank([query("u1"), query("u2")])
            assert [ids(page) for page in pages] == [["i1"], ["i2"]]
            assert stub.bodies == [[["u1", "u2"]]]


async def test_a_user_stands_once_in_a_request_for_many():
    mapping = loaded(f'{BASE}[batch]\npath = "/"\nbody = "{{user_ids}}"\nmax_users = 2\n')
    users = ["u1", "u1", "u2", "u3", "u4"]
    async with bridge(mapping, lambda r: [["i1"]] * r.content.count(b'"u')) as (one, stub):
        assert len(await one.rank([query(user) for user in users])) == 5
    assert sorted(stub.bodies) == [["u1"], ["u1", "u2"], ["u3", "u4"]]


@pytest.mark.parametrize(
    ("more", "said", "why"),
    [
        ("", {"a": 1}, "items = '@' finds an object in the answer, not a list"),
        ('items = "list"\n', {"a": 1}, "items = 'list' finds nothing in the answer"),
        ('id = "n"\n', [{"n": "i1"}, {}], "id = 'n' finds nothing, not an id"),
        ("", [True], "id = '@' finds true or false, not an id"),
        ('items = "length(a)"\n', {"a": 1}, "the answer does not fit items = 'length(a)'"),
    ],
)
async def test_an_answer_that_cannot_be_read_says_where(more, said, why):
    async with bridge(loaded(BASE + RANK + more), lambda _: said) as (one, _):
        with pytest.raises(ServiceFailed) as failed:
            await one.rank([query()])
        assert one._counts.failed == 1
    assert str(failed.value).startswith(f"GET /for/u1: 200, but {why}")


async def test_a_missing_list_of_a_batch_is_named():
    mapping = loaded(f'{BASE}[batch]\npath = "/b"\n')
    for said, why in (({"u1": []}, "no list for user u2"), ([[]], "finds a list of 1, not one")):
        async with bridge(mapping, lambda _, said=said: said) as (one, _):
            with pytest.raises(ServiceFailed, match=why):
                await one.rank([query("u1"), query("u2")])


# ------------------------------------------------------------------------------ trying again
async def test_what_fails_for_now_is_tried_again():
    answers = iter([httpx2.Response(503), httpx2.Response(429, headers={"retry-after": "0"})])
    async with bridge(loaded(), lambda _: next(answers, ["i1"])) as (one, stub):
        (page,) = await one.rank([query()])
        assert (one._counts.retries, one._counts.failed) == (2, 0)
    assert (ids(page), len(stub.asked)) == (["i1"], 3)


BUSY = {"retry-after": "60"}
ELSEWHERE = {"location": "http://127.0.0.1:2/"}


@pytest.mark.parametrize(
    ("response", "tries", "why"),
    [
        (httpx2.Response(404), 1, "GET /for/u1: 404 Not Found"),
        (httpx2.Response(503), 4, "GET /for/u1: 503 Service Unavailable after 4 tries"),
        (httpx2.Response(302, headers=ELSEWHERE), 1, "redirects are not followed"),
        (httpx2.Response(429, headers=BUSY), 1, "Retry-After 60 s, and no time left to try"),
        (httpx2.Response(200, text="<html>"), 1, "the answer is not JSON (text/plain"),
    ],
)
async def test_what_fails_for_good_is_named(response, tries, why):
    async with bridge(loaded(), lambda _: response) as (one, stub):
        with pytest.raises(ServiceFailed) as failed:
            await one.rank([query()])
        assert one._counts.failed == 1
    assert why in str(failed.value)
    assert len(stub.asked) == tries


async def test_a_work_is_given_up_in_time():
    def never(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no")

    mapping = loaded("[retry]\nattempts = 100\nfirst_delay = 0.02\n" + RANK,
                     "base_url=http://127.0.0.1:1")  # fmt: skip
    async with bridge(mapping, never, work_timeout=0.6) as (one, stub):
        with pytest.raises(ServiceFailed, match="and no time left to try again"):
            await one.rank([query()])
    assert 2 <= len(stub.asked) < 20


async def test_secrets_are_in_no_error():
    mapping = loaded(BASE.replace("127", "${HOST}") + RANK, HOST="geheim")

    def never(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no")

    async with bridge(mapping, never) as (one, _):
        with pytest.raises(ServiceFailed) as failed:
            await one.rank([query()])
    assert "geheim" not in str(failed.value)
    assert "***" in str(failed.value)


def test_retry_after_is_seconds_or_a_date():
    def said(text: str) -> float | None:
        return retry_after(httpx2.Response(429, headers={"retry-after": text}))

    assert said("12") == 12
    assert said("soon") is None
    assert said("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    late = said("Wed, 21 Oct 2195 07:28:00 GMT")
    assert late is not None
    assert late > 1e9


# ------------------------------------------------------------------------------ feedback
EVENTS = """
[feedback]
path = "/f"
body = { all = "{events}" }
per_request = 2
rating_scale = [0, 1]
[[feedback.events]]
of = ["view", "rate"]
event = { user = "{user_id}", item = "{item_id}", stars = "{rating}", share = "{scaled_rating}", at = "{time}", round = "{round}", list = "{attribution_token}" }
[[feedback.events]]
of = ["rate"]
least = 4
path = "/good"
event = { good = "{item_id}" }
[[feedback.events]]
of = ["impression"]
path = "/shown"
event = { shown = "{item_id}", at = "{position}" }
"""  # noqa: E501


def told() -> FeedbackBatch:
    batch = FeedbackBatch(round=2, cursor="c")
    for source in (Impression.Source.SOURCE_RECOMMENDER, Impression.Source.SOURCE_FALLBACK):
        page = batch.impressions.add(impression_id=f"p{source}", user_id="u1", source=source)
        page.items.add(item_id="i1", position=0)
        page.items.add(item_id="i2", position=1)
    rows = [("a", "i1", 5.0), ("b", "i2", None), ("c", "i3", 2.0), ("d", "?", None)]
    for name, item, value in rows:
        one = batch.interactions.add(interaction_id=name, user_id="u1", item_id=item, type=VIEW)
        one.sim_time.FromJsonString("2025-01-01T05:00:00Z")
        if value is not None:
            one.type, one.value = RATE, value
    batch.interactions[0].attribution_token = "t9"
    return batch


async def test_each_event_is_sent_as_its_rules_say():
    async with bridge(loaded(BASE + RANK + EVENTS), lambda _: {}) as (one, stub):
        await one.feedback(told())
        counts = one._counts
        assert (counts.events_sent, counts.events_without_item) == (6, 1)
    sent = [(path, event) for path, body in zip(stub.asked, stub.bodies, strict=True)
            for event in body["all"]]  # fmt: skip
    when = {"user": "u1", "at": "2025-01-01T05:00:00Z", "round": 2}
    assert sent == [
        ("POST /shown", {"shown": "i1", "at": 0}),
        ("POST /shown", {"shown": "i2", "at": 1}),
        ("POST /f", {**when, "item": "i1", "stars": 5.0, "share": 1.0, "list": "t9"}),
        ("POST /f", {**when, "item": "i2"}),
        ("POST /f", {**when, "item": "i3", "stars": 2.0, "share": 0.25}),
        ("POST /good", {"good": "i1"}),
    ]


async def test_a_request_that_is_tried_again_keeps_its_key_and_no_other_has_it():
    keys: list[list[str]] = []
    for _ in range(2):
        refused = iter([True])

        def answer(_: httpx2.Request, refused=refused) -> httpx2.Response:
            return httpx2.Response(503 if next(refused, False) else 200)

        async with bridge(loaded(BASE + RANK + EVENTS), answer) as (one, stub):
            await one.feedback(told())
            keys.append([request.headers["idempotency-key"] for request in stub.requests])
    for first, second, *others in keys:
        assert first == second
        assert len({first, *others}) == len(others) + 1 == 4
    # Another run, though it has the same name, is no repetition.
    assert not set(keys[0]) & set(keys[1])


async def test_feedback_that_is_lost_is_counted_and_does_not_wait_again():
    text = BASE + RANK + EVENTS
    async with bridge(loaded(text), lambda _: httpx2.Response(500)) as (one, stub):
        await one.feedback(told())
        assert (one._counts.events_sent, one._counts.events_lost) == (0, 6)
    # Four tries of the first request, one of each that came after it.
    assert len(stub.asked) == 4 + 3


async def test_events_that_an_answer_refuses_are_counted():
    text = (
        BASE + RANK + EVENTS.replace('path = "/f"', 'path = "/f"\nfailures = "[?code > `299`]"', 1)
    )
    async with bridge(loaded(text), lambda _: [{"code": 200}, {"code": 404}]) as (one, _):
        await one.feedback(told())
        assert (one._counts.events_sent, one._counts.events_refused) == (2, 4)


async def test_a_mapping_without_feedback_sends_none():
    async with bridge(loaded(), lambda _: {}) as (one, stub):
        await one.feedback(told())
    assert stub.asked == []


# ------------------------------------------------------------------------------ around a run
async def test_a_run_begins_with_a_reset_the_catalogue_and_users():
    text = BASE + RANK + (
        '[reset]\nmethod = "DELETE"\npath = "/all"\nquery = { run = "{run_id}" }\n'
        '[items]\npath = "/items"\nper_request = 5\neach = { id = "{item_id}", t = "{title}" }\n'
        '[users]\nmethod = "PUT"\npath = "/users/{user_id}"\nper_request = 1\neach = { n = 1 }\n'
        '[item_ids]\nadd_prefix = "x-"\n'
    )  # fmt: skip
    async with bridge(loaded(text), lambda _: ["x-i3", "i4"]) as (one, stub):
        assert stub.asked == ["DELETE /all?run=run-1", "POST /items", "POST /items"]
        assert [len(body) for body in stub.bodies] == [5, 3]
        assert stub.bodies[0][0] == {"id": "x-i0", "t": "Film i0"}
        (page,) = await one.rank([query()])
        assert ids(page) == ["i3"]
        await one.rank([query(), query("u2")])
        assert [line for line in stub.asked if "users" in line] == [
            "PUT /users/u1",
            "PUT /users/u2",
        ]


CHANGING = (
    BASE
    + RANK
    + ('[items]\npath = "/items"\neach = { id = "{item_id}" }\n[item_ids]\nadd_prefix = "x-"\n')
)
WITHDRAW = '[items.withdraw]\nmethod = "PATCH"\npath = "/i/{item_id}"\nbody = { hidden = true }\n'


async def changed(one, gone: tuple[str, ...], new: tuple[str, ...]) -> None:
    """The catalogue of the run changes."""
    items = [
        Item(item_id=item.item_id, title=item.title, withdrawn=item.item_id in gone)
        for item in one._run.catalog.items
    ]
    items += [Item(item_id=item_id, title=f"Film {item_id}") for item_id in new]
    await one.catalog_changed(replace(one._run, catalog=Catalog.of("v2", items)))


async def test_a_service_is_told_what_is_new_and_what_was_withdrawn_alone():
    async with bridge(loaded(CHANGING + WITHDRAW), lambda _: {}) as (one, stub):
        stub.requests.clear()
        await changed(one, ("i1", "i4"), ("new",))
        assert stub.asked == ["POST /items", "PATCH /i/x-i1", "PATCH /i/x-i4"]
        assert stub.bodies == [[{"id": "x-new"}], {"hidden": True}, {"hidden": True}]
        stub.requests.clear()
        await changed(one, ("i1", "i4", "i5"), ())
        assert stub.asked == ["PATCH /i/x-i5"]


async def test_a_mapping_that_cannot_tell_of_changes_says_so(caplog):
    async with bridge(loaded(), lambda _: {}) as (one, stub):
        with caplog.at_level(logging.WARNING):
            await changed(one, ("i1", "i4"), ("new",))
        assert stub.asked == []
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "1 items are new, and the mapping has no [items] to tell the service",
        "2 items were withdrawn, and the mapping has no [items.withdraw] to tell the service: they"
        " are dropped from its lists",
    ]


async def test_a_service_that_keeps_an_item_is_told_of_in_the_log(caplog):
    def answer(request: httpx2.Request):
        return httpx2.Response(404) if request.url.path.startswith("/i/") else {}

    async with bridge(loaded(CHANGING + WITHDRAW), answer) as (one, _):
        with caplog.at_level(logging.WARNING):
            await changed(one, ("i1",), ())
    (record,) = caplog.records
    assert "PATCH" in record.getMessage()
    assert "404" in record.getMessage()


async def test_what_was_withdrawn_is_dropped_from_lists_and_what_is_new_is_not():
    async with bridge(loaded(), lambda _: [*ITEMS, "new"]) as (one, _):
        await changed(one, ("i0", "i2"), ("new",))
        (page,) = await one.rank([query(count=3)])
        assert ids(page) == ["i1", "i3", "i4"]
        (whole,) = await one.rank([query(count=9)])
        assert ids(whole)[-1] == "new"
        assert one._counts.unknown_items == 4


async def test_feedback_about_what_was_withdrawn_goes_on_to_the_service():
    text = BASE + RANK + (
        '[feedback]\npath = "/f"\n[[feedback.events]]\nof = ["rate"]\n'
        'event = { item = "{item_id}" }\n'
    )  # fmt: skip
    async with bridge(loaded(text), lambda _: {}) as (one, stub):
        await changed(one, ("i1",), ())
        done = Interaction(type=RATE, user_id="u1", item_id="i1", value=4, round=1)
        await one.feedback(FeedbackBatch(round=1, interactions=[done]))
        assert stub.bodies == [[{"item": "i1"}]]


TRAIN = """
[train]
path = "/t"
at_most = 0.05
[train.status]
path = "/s"
done = "ok"
every = 0.001
"""


async def test_training_is_waited_for():
    mapping = loaded(BASE + RANK + TRAIN, "train.at_most=60")
    states = iter([None, False, False, True])
    async with bridge(mapping, lambda _: {"ok": next(states)}) as (one, stub):
        await one.ready(1)
    assert stub.asked == ["POST /t", "GET /s", "GET /s", "GET /s"]


async def test_training_that_does_not_end_is_told_and_the_round_goes_on(caplog):
    with caplog.at_level(logging.INFO, "recarena.bridge"):
        async with bridge(loaded(BASE + RANK + TRAIN), lambda _: {"ok": False}) as (one, _):
            await one.ready(1)
    assert "train: not done after 0.05 s; the round goes on" in caplog.text


async def test_a_line_a_round_tells_what_was_counted(caplog):
    with caplog.at_level(logging.INFO, "recarena.bridge"):
        async with bridge(loaded(), lambda _: ["i1", "?", "i1"]) as (one, _):
            await one.ready(1)
            await one.rank([query(), query("u2")])
            await one.ready(2)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "before the first round: 0 lists, 0 searches, 0 requests, 0 failed, 0 events sent",
        "round 1: 2 lists, 0 searches, 2 requests, 0 failed, 2 unknown items, 2 repeated items,"
        " 2 short lists, 0 events sent",
        "round 2: 0 lists, 0 searches, 0 requests, 0 failed, 0 events sent",
    ]


async def test_a_search_brings_its_words():
    text = BASE + RANK + '[search]\npath = "/s"\nquery = { q = "{text}", n = "{count}" }\n'
    async with bridge(loaded(text), lambda _: ["i2"]) as (one, stub):
        (page,) = await one.search([search("rock & roll")])
    assert (stub.asked, ids(page)) == (["GET /s?q=rock%20%26%20roll&n=3"], ["i2"])
