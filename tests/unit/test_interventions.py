"""What operators may change, what it does to a world, and how it is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recarena.server.datasets.generate import generate_world
from recarena.server.errors import InputError
from recarena.server.interventions import Change, Intervention, as_events, of_events
from recarena.server.memory.remember import remember
from recarena.server.narration import Narrator
from recarena.server.steering.checking import KNOWN_FIELDS, check
from recarena.server.types import EventKind, MemoryKind
from recarena.server.world import World
from support.steered import K, Life, added, change, item
from support.worlds import tiny_world


@pytest.fixture
def world() -> World:
    return World(tiny_world().own(), 1)


def take_up(world: World, *wanted: Change) -> list[Intervention]:
    """The world after these changes, each of which can be."""
    made: list[Intervention] = []
    for one in wanted:
        made.append(check(one, world.taken_up + len(made) + 1, world, made)[0])
    world.take_up(made)
    return made


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("wrong", "where", "says"),
    [
        (change(K.EDIT_PROFILE, user_id="usr-1", name="X"), "edit_profile.user_id", "user-0"),
        (change(K.EDIT_PROFILE, user_id="user-1"), "edit_profile", "nothing is changed"),
        (change(K.EDIT_PROFILE, user_id="user-1", traits={"trust": 6}),
         "edit_profile.traits.trust", "0 to 5"),
        (change(K.EDIT_PROFILE, user_id="user-1", traits={"turst": 1}),
         "edit_profile.traits.turst", "Did you mean 'trust'"),
        (change(K.EDIT_PROFILE, user_id="user-1", tastes={"Comedy": float("nan")}),
         "edit_profile.tastes.Comedy", "no number"),
        (change(K.EDIT_PROFILE, user_id="user-1", tastes={"Comdy": 1}),
         "edit_profile.tastes.Comdy", "Comedy"),
        (change(K.EDIT_PROFILE, user_id="user-1", profile={"age": "x" * 501}),
         "edit_profile.profile.age", "at most 500"),
        (change(K.EDIT_PROFILE, user_id="user-1", profile={"age": "a\x1b[31m"}),
         "edit_profile.profile.age", "cannot be shown"),
        (change(K.SET_RELATION, user_id="user-1", other_user_id="user-1", closeness=1),
         "set_relation.other_user_id", "themselves"),
        (change(K.SET_RELATION, user_id="user-1", other_user_id="user-4", closeness=1.5),
         "set_relation.closeness", "0 to 1"),
        (change(K.REMOVE_RELATION, user_id="user-0", other_user_id="user-3"),
         "remove_relation.other_user_id", "no tie from 'user-0' to 'user-3'"),
        (change(K.ADD_ITEM, item=item("film-1")), "add_item.item.item_id", "already"),
        (change(K.ADD_ITEM, item=item("x" * 129)), "add_item.item.item_id", "at most 128"),
        (change(K.ADD_ITEM, item=item("ß" * 100)), "add_item.item.item_id", "128 bytes"),
        (change(K.ADD_ITEM, item=item("new", "")), "add_item.item.title", "empty"),
        (change(K.ADD_ITEM, item=item("new", "T", "Drama", "Western")),
         "add_item.item.categories[1]", "'Western'"),
        (change(K.ADD_ITEM, item=item("new", "T", "Drama", "Drama")),
         "add_item.item.categories", "twice"),
        (change(K.ADD_ITEM, item=item("new", attributes={"year": 1972.5})),
         "add_item.item.attributes.year", "whole"),
        (change(K.ADD_ITEM, item=item("new", attributes={"colour": "red"})),
         "add_item.item.attributes.colour", "no such field"),
        (added("new", quality=3.5), "add_item.quality", "-3 to 3"),
        (change(K.WITHDRAW_ITEM, item_id="film-99"), "withdraw_item.item_id", "film-0"),
        (change(K.INJECT_POST, user_id="user-1", text=" "), "inject_post.text", "empty"),
        (change(K.INJECT_POST, user_id="user-1", text="Hm", sentiment=2.5),
         "inject_post.sentiment", "-2 to 2"),
        (change(K.TELL_USER, user_id="user-1", said="x" * 1001), "tell_user.said", "1,000"),
        (change(K.TAKE_OVER, user_id="user-1", turn_time_s=4), "take_over.turn_time_s", "5 to 600"),
        (change(K.HAND_BACK, user_id="user-1"), "hand_back.user_id", "nobody has taken"),
        (change(K.HAND_BACK, user_id="user-1", why="x"), "hand_back.why", "no such field"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_field_and_remedy(world, wrong, where, says):
    with pytest.raises(InputError) as error:
        check(wrong, 1, world)
    assert error.value.where == where
    assert says in str(error.value)


def test_every_kind_has_its_fields():
    assert set(KNOWN_FIELDS) == set(K)


def test_changes_are_checked_against_the_world_as_it_will_be(world):
    wait = [check(added("new"), 1, world)[0]]
    post = change(K.INJECT_POST, user_id="user-1", text="Hm", item_id="new")
    made, whole = check(post, 2, world, wait)
    assert made.item == len(world.catalog)
    assert whole.values["item_id"] == "new"
    with pytest.raises(InputError, match="no item 'new'"):
        check(post, 2, world)
    with pytest.raises(InputError, match="already"):
        check(added("new"), 2, world, wait)
    assert check(added("other"), 2, world, wait)[0].item == len(world.catalog) + 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (change(K.TAKE_OVER, user_id="user-1"), change(K.TAKE_OVER, user_id="user-1")),
        (change(K.WITHDRAW_ITEM, item_id="film-1"), change(K.WITHDRAW_ITEM, item_id="film-1")),
        (change(K.REMOVE_RELATION, user_id="user-0", other_user_id="user-1"),
         change(K.REMOVE_RELATION, user_id="user-0", other_user_id="user-1")),
    ],
)  # fmt: skip
def test_what_waits_already_cannot_be_asked_for_again(world, first, second):
    made, _ = check(first, 1, world)
    with pytest.raises(InputError):
        check(second, 2, world, [made])


def test_a_user_who_will_be_taken_over_can_be_handed_back(world):
    taken, _ = check(change(K.TAKE_OVER, user_id="user-1"), 1, world)
    back, _ = check(change(K.HAND_BACK, user_id="user-1"), 2, world, [taken])
    world.take_up([taken])
    assert world.by_person.tolist() == [False, True, False, False, False, False]
    assert world.turn_time_s[1] == 60
    world.take_up([taken, back])
    assert not world.by_person.any()
    assert np.isnan(world.turn_time_s).all()


def test_the_last_item_is_not_withdrawn(world):
    for number in range(len(world.catalog) - 1):
        take_up(world, change(K.WITHDRAW_ITEM, item_id=f"film-{number}"))
    with pytest.raises(InputError, match="last item"):
        take_up(world, change(K.WITHDRAW_ITEM, item_id=f"film-{len(world.catalog) - 1}"))


# ---------------------------------------------------------------------- what it does


def test_a_profile_is_edited_field_by_field(world):
    before = world.population.trust.copy(), world.taste.copy()
    take_up(world, change(K.EDIT_PROFILE, user_id="user-2", name=" Livia ",
                          profile={"age": "31", "interests": "whales"}, traits={"trust": 2.5},
                          tastes={"Comedy": 1.5}))  # fmt: skip
    people = world.data.population
    assert people.names[2] == "Livia"
    assert people.names[0] == "Ann"
    assert people.profile["age"] == ["20", "21", "31", "23", "24", "25"]
    assert people.profile["interests"] == ["", "", "whales", "", "", ""]
    assert people.profile["occupation"][2] == "nurse"
    assert people.trust[2] == 2.5
    np.testing.assert_array_equal(np.delete(people.trust, 2), np.delete(before[0], 2))
    assert world.taste[2, 1] == people.taste[2, 1] == 1.5
    changed = world.taste != before[1]
    assert changed.sum() == 1
    assert world.scene == 1


def test_ties_are_made_changed_and_ended(world):
    tie = change(K.SET_RELATION, user_id="user-0", other_user_id="user-3", kind="rival",
                 closeness=0.25, both_ways=True)  # fmt: skip
    ties, network = len(world.network), world.network
    take_up(world, tie)
    assert world.network is world.data.network is network
    assert len(network) == ties + 2
    for user, other in ((0, 3), (3, 0)):
        at = network.find(user, other)
        assert at is not None
        assert network.kinds[network.kind[at]] == "rival"
        assert network.closeness[at] == 0.25
    take_up(world, change(K.SET_RELATION, user_id="user-3", other_user_id="user-0", closeness=1))
    at = network.find(3, 0)
    assert at is not None
    assert (network.kinds[network.kind[at]], network.closeness[at]) == ("rival", 1)
    take_up(world, change(K.REMOVE_RELATION, user_id="user-0", other_user_id="user-3"))
    assert network.find(0, 3) is None
    assert network.find(3, 0) is not None
    assert network.degrees().sum() == len(network) == ties + 1
    for user in range(6):
        assert (np.diff(network.other[network.ties_of(user)]) > 0).all()


def test_a_tie_of_no_kind_makes_an_acquaintance(world):
    take_up(world, change(K.SET_RELATION, user_id="user-0", other_user_id="user-2", closeness=0.5))
    at = world.network.find(0, 2)
    assert world.network.kinds[world.network.kind[at]] == "acquaintance"


def test_items_are_added_at_the_end_and_keep_their_numbers(world):
    before, old = len(world.catalog), world.catalog.snapshot()
    shown, known = world.popularity.copy(), world.catalog.main_genre.copy()
    made = take_up(world, added("new", "Comedy", "Drama", quality=2), added("other"))
    catalog = world.catalog
    assert [one.item for one in made] == [before, before + 1]
    assert catalog.item_ids[before:] == ["new", "other"]
    assert catalog.genres_of(before) == ["Drama", "Comedy"]
    assert catalog.genres_of(before + 1) == []
    assert catalog.quality[before] == 2
    assert catalog.attributes.shape == (before + 2, 6)
    assert catalog.main_genre[before + 1] == -1
    np.testing.assert_array_equal(catalog.main_genre[:before], known)
    assert catalog.number_of["other"] == before + 1
    for column in ("popularity", "displayed_rating", "item_watches", "item_ratings"):
        assert len(getattr(world, column)) == before + 2, column
    assert world.popularity[before] == world.popularity.min()
    assert len(shown) == before == len(old) == len(old.titles) == len(old.available)
    assert old.version != catalog.version
    assert "new" not in old.number_of


def test_a_ninth_item_can_be_watched(world):
    number = take_up(world, added("new"))[0].item
    assert number == 8
    user = np.array([3], np.int32)
    assert not world.watched.has(user, np.array([number], np.int32))[0]
    world.watched.add(user, np.array([number], np.int32))
    assert number in world.watched.of(3)
    assert number not in world.watched.of(2)


def test_a_withdrawn_item_keeps_its_number_and_is_available_no_more(world):
    before, version = world.catalog.snapshot(), world.catalog.version
    changed = world.take_up([check(change(K.WITHDRAW_ITEM, item_id="film-3"), 1, world)[0]])
    assert changed.tolist() == [3]
    assert world.catalog.available.tolist() == [n != 3 for n in range(8)]
    assert world.catalog.number_of["film-3"] == 3
    assert world.catalog.version != version == before.version
    assert before.available.all()


def test_what_was_taken_up_is_not_taken_up_twice(world):
    made = take_up(world, added("new"))
    assert world.take_up(made).tolist() == []
    assert world.catalog.item_ids.count("new") == 1
    assert world.taken_up == 1


def test_another_world_of_the_same_data_is_left_alone():
    data = tiny_world()
    mine, others = World(data.own(), 1), World(data, 1)
    take_up(mine, added("new"), change(K.EDIT_PROFILE, user_id="user-0", name="Zoë",
                                       profile={"age": "1"}, tastes={"Drama": 3}),
            change(K.REMOVE_RELATION, user_id="user-0", other_user_id="user-1"),
            change(K.WITHDRAW_ITEM, item_id="film-0"))  # fmt: skip
    fresh = World(tiny_world(), 1)
    for one in (data, others.data):
        assert one.catalog.item_ids == fresh.catalog.item_ids
        assert one.catalog.version == fresh.catalog.version
        assert one.population.names == fresh.population.names
        assert one.population.profile == fresh.population.profile
        assert len(one.network) == len(fresh.network)
        np.testing.assert_array_equal(one.population.taste, fresh.population.taste)
    np.testing.assert_array_equal(others.taste, fresh.taste)


# ---------------------------------------------------------------------- as the log keeps it


def test_the_log_holds_all_of_an_intervention(world):
    made = take_up(world, added("new", "Drama"),
                   change(K.TELL_USER, user_id="user-1", said="“Why?”", answer="So."))  # fmt: skip
    events = as_events(4, made)
    assert events.user.tolist() == [-1, -1]
    assert set(events.kind.tolist()) == {EventKind.INTERVENTION}
    assert of_events(events) == made


def test_interventions_stand_first_and_a_post_of_theirs_last_among_the_users_events():
    life = Life(World(generate_world(40, 3, history_per_user=3).own(), 5))
    ids = life.world.population.user_ids
    post = change(K.INJECT_POST, user_id=ids[7], text="See this.", item_id="new", sentiment=2)
    events = life.goes_on(added("new"), post).events
    assert events.kind[:2].tolist() == [EventKind.INTERVENTION] * 2
    assert (events.user[2:] >= 0).all()
    assert (np.diff(events.user) >= 0).all()
    mine = np.flatnonzero(events.user == 7)
    last = int(mine[-1])
    assert len(mine) > 1
    assert events.kind[last] == EventKind.POST
    assert events.text[last] == "See this."
    assert (events.position[last], events.item[last]) == (1, life.world.items - 1)


# ---------------------------------------------------------------------- what people make of it


def post_life(**more: Any) -> tuple[Life, int, list[int]]:
    """A life in which a post is put into somebody's mouth, whose, and who the acquaintances are."""
    life = Life(World(generate_world(60, 3, history_per_user=3).own(), 5))
    network = life.world.network
    author = int(network.degrees().argmax())
    friends = network.other[network.ties_of(author)].tolist()
    name = life.world.population.user_ids[author]
    life.goes_on(change(K.INJECT_POST, user_id=name, text="Go and see it!", sentiment=2, **more))
    return life, author, friends


def test_a_post_in_a_users_name_is_read_by_acquaintances_and_remembered():
    life, author, friends = post_life()
    memories = life.results[0].memories
    words = [row for row, said in memories.text.items() if said == "Go and see it!"]
    kinds = {int(memories.user[row]): int(memories.kind[row]) for row in words}
    assert kinds == {author: MemoryKind.POSTED} | dict.fromkeys(friends, MemoryKind.READ)
    assert all(life.world.unread[friend] > 0 for friend in friends)
    assert friends


def test_a_post_about_an_item_is_heard_of():
    life, _, friends = post_life(item_id=generate_world(60, 3).catalog.item_ids[2])
    assert all(2 in life.world.heard.item[friend] for friend in friends)


def test_a_post_of_an_operator_is_no_doing_of_the_user():
    quiet = {"activity": -10.0}
    life = Life(World(generate_world(30, 3, history_per_user=3).own(), 5))
    name = life.world.population.user_ids[4]
    life.goes_on(change(K.EDIT_PROFILE, user_id=name, traits=quiet))
    life.world.unshared[4] = True
    gap = int(life.world.gap[4])
    life.goes_on(change(K.INJECT_POST, user_id=name, text="Hm"))
    mine = life.results[1].events
    assert mine.kind[mine.user == 4].tolist() == [EventKind.IDLE, EventKind.POST]
    assert life.world.gap[4] == gap + 1
    assert life.world.unshared[4]


def test_a_talk_is_remembered_by_the_user_alone(world):
    made = take_up(world, change(K.TELL_USER, user_id="user-4", said="Why?", answer="So."),
                   change(K.TELL_USER, user_id="user-2", said="Hello"))  # fmt: skip
    memories = remember(as_events(1, made), world.network)
    assert memories.user.tolist() == [2, 4]
    assert memories.kind.tolist() == [MemoryKind.OBSERVED] * 2
    assert memories.text == {
        0: "Somebody asked me: “Hello”",
        1: "Somebody asked me: “Why?” I answered: “So.”",
    }
    assert (memories.importance == 0.5).all()
    told = Narrator(world.catalog, world.population)
    assert told.memory(memories, 1) == "Somebody asked me: “Why?” I answered: “So.”"


def test_a_taste_that_is_raised_raises_watches_of_the_genre():
    """Users who come to love one genre watch more of it."""
    data = generate_world(600, 3, history_per_user=3)
    genres = data.catalog.genre_names
    counts = np.bincount(data.catalog.main_genre[data.catalog.main_genre >= 0])
    loved = int(counts.argmax())
    tastes = {genres[loved]: 3.0}
    shares = []
    for steered in (False, True):
        life = Life(World(data.own(), 5))
        wanted = [change(K.EDIT_PROFILE, user_id=one, tastes=tastes)
                  for one in data.population.user_ids] if steered else []  # fmt: skip
        life.goes_on(*wanted)
        for _ in range(3):
            life.goes_on()
        items = np.concatenate([r.events.of(EventKind.WATCH).item for r in life.results])
        assert len(items) > 100
        shares.append(data.catalog.genres[items, loved].mean())
    assert shares[1] > shares[0] + 0.2


def test_a_withdrawn_item_is_shown_no_more_and_an_added_one_is_shown_and_watched():
    life = Life(World(generate_world(80, 3, history_per_user=3).own(), 5))
    life.goes_on()
    gone = int(life.results[0].events.of(EventKind.SHOWN).item[0])
    genre = life.world.catalog.genre_names[0]
    name = life.world.catalog.item_ids[gone]
    number = life.world.items
    life.goes_on(change(K.WITHDRAW_ITEM, item_id=name), added("new", genre, quality=3))
    for _ in range(12):
        life.goes_on()
    shown = [r.events.of(EventKind.SHOWN).item.tolist() for r in life.results[1:]]
    watched = [r.events.of(EventKind.WATCH).item.tolist() for r in life.results[1:]]
    assert not any(gone in one for one in shown)
    assert any(number in one for one in shown)
    assert any(number in one for one in watched)
    assert life.world.item_watches[number] == sum(one.count(number) for one in watched)


def test_who_is_played_by_a_person_is_always_active():
    from recarena.server.activation import Activation, ActivationPolicy
    from recarena.server.rounds import RoundRules

    rare = RoundRules(activation=Activation(ActivationPolicy.BERNOULLI, rate=0.0))
    life = Life(World(generate_world(30, 3, history_per_user=3).own(), 5), rare)
    name = life.world.population.user_ids[11]
    result = life.goes_on(change(K.TAKE_OVER, user_id=name))
    assert result.active == 1
    assert set(result.events.user.tolist()) == {-1, 11}


# ---------------------------------------------------------------------- in words


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (change(K.EDIT_PROFILE, user_id="user-3", tastes={"Comedy": 1.5}),
         "Somebody gives José other tastes: Comedy 1.5."),
        (change(K.EDIT_PROFILE, user_id="user-3", name="Zoë", traits={"mean_rating": 4},
                profile={"age": "30"}),
         "Somebody gives user-3 the name Zoë; another profile: age “30”; other traits: mean rating "
         "4."),
        (change(K.SET_RELATION, user_id="user-1", other_user_id="user-3", kind="rival",
                closeness=0.5),
         "Somebody sets a tie as rival from Bob to José, closeness 0.5."),
        (change(K.REMOVE_RELATION, user_id="user-0", other_user_id="user-1", both_ways=True),
         "Somebody ends the tie between Ann and Bob."),
        (added("new", "Drama", "Comedy", title="Whale, The (1998)"),
         "An item is added: The Whale (Drama, Comedy)."),
        (change(K.WITHDRAW_ITEM, item_id="film-1"),
         "An item is withdrawn: The \"1\"th, of Šárka's."),
        (change(K.INJECT_POST, user_id="user-1", text="Hm.\nYes.", item_id="film-1"),
         "Somebody posts about The \"1\"th, of Šárka's in the name of Bob: “Hm. Yes.”"),
        (change(K.TELL_USER, user_id="user-1", said="Why?", answer="So."),
         "Somebody says to Bob: “Why?” Bob: “So.”"),
        (change(K.TAKE_OVER, user_id="user-1", turn_time_s=30),
         "A person plays Bob from now on, 30 s a turn."),
    ],
)  # fmt: skip
def test_interventions_are_told_in_a_sentence(world, wanted, told):
    made = take_up(world, wanted)
    narrator = Narrator(world.catalog, world.population)
    events = as_events(1, made)
    assert narrator.sentence(events, 0) == told
    assert narrator.words(events, 0) == ""


def test_a_hand_back_is_told(world):
    made = take_up(world, change(K.TAKE_OVER, user_id="user-1"))
    made += take_up(world, change(K.HAND_BACK, user_id="user-1"))
    narrator = Narrator(world.catalog, world.population)
    said = narrator.sentence(as_events(1, made), 1)
    assert said == "Bob is handed back: Bob's own mind decides again."
