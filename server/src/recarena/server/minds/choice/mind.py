"""Decisions of the choice mind: logits over what a user can do, drawn with keyed Gumbel noise.

After McFadden (1974, conditional logit), the traits of Agent4Rec (Zhang et al., 2024), leaving and
returning as in KuaiSim (Zhao et al., 2023), satisfaction and interest as in RecSim (Ie et al.,
2019), position bias as in click models (Craswell et al., 2008). Every function works on a batch of
users in columns; a draw depends on its key alone, so the batch never matters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recarena.server.memory.remember import remember
from recarena.server.minds.choice import feeling
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.minds.choice.utility import Utility, heard_of
from recarena.server.ports import (
    Activities,
    Manner,
    Openings,
    PageDecision,
    PageView,
    SocialDecision,
    WorldView,
)
from recarena.server.randomness import Purpose, gumbel, keys, logistic, uniform
from recarena.server.types import (
    NOBODY,
    NOTHING,
    Bools,
    EventColumns,
    EventKind,
    Floats,
    Ints,
    MemoryColumns,
)

_NEXT, _SEARCH, _LEAVE = 0, 1, 2
_ACTIONS = np.array([EventKind.NEXT, EventKind.SEARCH, EventKind.LEAVE], np.int8)


class ChoiceMind:
    """A `Mind` without language: its words come from templates and are marked so."""

    is_llm = False

    def __init__(self, coefficients: Coefficients | None = None) -> None:
        self.coefficients = coefficients or Coefficients()
        self._utility = Utility(self.coefficients)

    async def prepare(self) -> dict[str, object]:
        """It always can."""
        return {}

    def manners(self) -> list[Manner]:
        """Everybody, in cohorts of the run's size."""
        return [Manner(lambda users: users)]

    async def choose_activity(self, world: WorldView, round: int, users: Ints) -> Activities:
        """logit P(active) = a + a_u + phi (S_u - 1/2) + psi log(1 + gap); then recommender or
        social network, the latter drawing with unread posts and an unshared watch."""
        b, people = self.coefficients, world.population
        active = (
            (people.activity[users] + np.float32(b.active))
            + np.float32(b.active_satisfied) * (world.satisfaction(users) - np.float32(0.5))
            + np.float32(b.active_gap) * np.log1p(world.gap[users].astype(np.float32))
        )
        social = (
            (people.sociability[users] + np.float32(b.sociable))
            + np.float32(b.social_unread) * np.minimum(world.unread[users], 3).astype(np.float32)
            + np.float32(b.social_unshared) * world.unshared[users]
        )
        social = np.where(world.network.degrees()[users] > 0, social, -np.inf)
        seed = world.seed
        is_active = logistic(keys(seed, Purpose.ENTER, round, users)) < active
        is_social = logistic(keys(seed, Purpose.GO_SOCIAL, round, users)) < social
        busy = np.where(is_social, EventKind.ENTER_SOCIAL, EventKind.ENTER_RECOMMENDER)
        return Activities(np.where(is_active, busy, EventKind.IDLE).astype(np.int8))

    async def opens_with_words(self, world: WorldView, round: int, users: Ints) -> Openings:
        """Asks for the genre it would search for, with a fixed probability."""
        opens = logistic(keys(world.seed, Purpose.CONVERSE, round, users)) < np.float32(
            self.coefficients.conversation
        )
        code = np.where(opens, self._genre_wanted(world, round, users) + 1, 0)
        return Openings(code.astype(np.int16))

    async def remember(self, world: WorldView, round: int, events: EventColumns) -> MemoryColumns:
        """One memory per watch and per thing said, heard or read."""
        return remember(events, world.network)

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """Nothing: what moves the choice mind is in the world."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def act(self, world: WorldView, view: PageView) -> PageDecision:
        """Draws from {items} + {NEXT, SEARCH, LEAVE} without replacement until one of the latter
        comes: with Gumbel noise, the items above the best of the latter, best first."""
        seed, round, users = world.seed, view.round, view.users
        with np.errstate(invalid="ignore"):
            worth = self._utility.of_page(world, view)
            worth += gumbel(keys(seed, Purpose.LIKE_ITEM, round, users[:, None], view.items))
        exits, sought = self._exits(world, view)
        exits += gumbel(
            keys(seed, Purpose.EXIT_PAGE, round, users[:, None], np.arange(3) + 4 * view.step)
        )
        action = exits.argmax(axis=1)
        best_exit = exits.max(axis=1)
        order = np.argsort(-worth, axis=1, kind="stable").astype(np.int32)
        above = np.take_along_axis(worth, order, axis=1) > best_exit[:, None]
        watched = np.where(above, order, -1)
        rating, appraisal, code = self._appraise(world, view, watched)
        genre = np.where(sought == NOTHING, self._genre_wanted(world, round, users) + 1, 0)
        is_search = action == _SEARCH
        return PageDecision(
            watched=watched,
            rating=rating,
            appraisal=appraisal,
            code=code,
            action=_ACTIONS[action],
            sought=np.where(is_search, sought, NOTHING).astype(np.int32),
            sought_code=np.where(is_search, genre, 0).astype(np.int16),
        )

    def _exits(self, world: WorldView, view: PageView) -> tuple[Floats, Ints]:
        """[users, 3] utilities of NEXT, SEARCH, LEAVE; and the item a search would be for."""
        b = self.coefficients
        pages = (view.page + 1).astype(np.float32)
        strength, sought = heard_of(world, view, b.mention_half_life)
        exits = np.empty((len(view.users), 3), np.float32)
        full = (view.items >= 0).all(axis=1)
        exits[:, _NEXT] = np.where(full, b.go_on - b.go_on_fade * pages, -np.inf)
        exits[:, _SEARCH] = (
            b.search + np.float32(b.search_heard) * strength if view.can_search else -np.inf
        )
        content = world.satisfaction(view.users) - np.float32(0.5)
        exits[:, _LEAVE] = b.leave + b.leave_page * pages - np.float32(b.leave_satisfied) * content
        return exits, sought

    def _genre_wanted(self, world: WorldView, round: int, users: Ints) -> NDArray[np.int16]:
        """The genre each user is in the mood for: a logit over the genre part of the taste."""
        genres = np.arange(len(world.catalog.genre_names))
        mood = np.float32(2) * world.taste[users[:, None], genres]
        mood += gumbel(keys(world.seed, Purpose.SEARCH_GENRE, round, users[:, None], genres))
        return mood.argmax(axis=1).astype(np.int16)

    def _appraise(
        self, world: WorldView, view: PageView, watched: Ints
    ) -> tuple[NDArray[np.int8], Floats, NDArray[np.int16]]:
        """Rating (ordered logit around r*, pulled to the displayed mean by conformity), appraisal
        (r* - the user's mean) and the template of the feeling, beside `watched`."""
        rating = np.zeros(watched.shape, np.int8)
        appraisal = np.zeros(watched.shape, np.float32)
        code = np.zeros(watched.shape, np.int16)
        row, column = np.nonzero(watched >= 0)
        if not len(row):
            return rating, appraisal, code
        user, position = view.users[row], watched[row, column]
        item = view.items[row, position]
        latent = self._utility.true_rating(world, view.round, user, item)
        stars = self._stars(world, view.round, user, item, latent)
        rating[row, column] = stars
        better = latent - world.population.mean_rating[user]
        appraisal[row, column] = np.rint(np.clip(better, -4, 4) * 256) / 256
        reason = self._utility.main_reason(world, view, row, position)
        variant = (
            uniform(keys(world.seed, Purpose.FEELING_WORDS, view.round, user, item)) * 4
        ).astype(np.int16)
        genre = world.catalog.main_genre[item]
        code[row, column] = feeling.encode(reason, feeling.valence(stars), variant, genre)
        return rating, appraisal, code

    def expected_stars(
        self, world: WorldView, view: PageView, position: int | Ints
    ) -> NDArray[np.int8]:
        """[users]: the rating in 1..5 that each user expects to give to the item at its `position`
        (`Utility.expected_rating`), in the steps in which it would rate it after watching."""
        at = np.broadcast_to(np.asarray(position, np.int32), view.users.shape)
        item = view.items[np.arange(len(view.users)), at]
        expected = self._utility.expected_rating(world, view, at)
        return self._stars(world, view.round, view.users, item, expected)

    def stars_after(
        self, world: WorldView, round: int, users: Ints, items: Ints
    ) -> NDArray[np.int8]:
        """[users]: the rating in 1..5 that each user gives to its item if it watches it in the
        round, whatever it was told about it."""
        latent = self._utility.true_rating(world, round, users, items)
        return self._stars(world, round, users, items, latent)

    def _stars(
        self, world: WorldView, round: int, users: Ints, items: Ints, latent: Floats
    ) -> NDArray[np.int8]:
        """[n]: ratings by ordered logit around what is felt, pulled to the displayed mean by
        conformity."""
        b = self.coefficients
        pull = np.float32(b.rating_conformity) * world.population.conformity[users]
        shown = (1 - pull) * latent + pull * world.displayed_rating[items]
        shown += np.float32(b.rating_scale) * logistic(
            keys(world.seed, Purpose.RATING_STEP, round, users, items)
        )
        return np.clip(np.rint(shown), 1, 5).astype(np.int8)

    async def socialise(self, world: WorldView, round: int, users: Ints) -> SocialDecision:
        """Answers the newest unread post by chat, else posts or chats about the last watch:
        logit P(post) = p_u + zeta |r - 3|. Nothing to tell: passes on what was heard of most."""
        seed, b = world.seed, self.coefficients
        answers = (world.unread[users] > 0) & (
            logistic(keys(seed, Purpose.ANSWER_POST, round, users)) < np.float32(b.answer_post)
        )
        own = world.last_item[users] != NOTHING
        mentions = world.heard.faded(users, round, b.mention_half_life)
        loudest = np.abs(mentions).argmax(axis=1)
        heard_item = world.heard.item[users, loudest]
        item = np.where(own, world.last_item[users], heard_item)
        item = np.where(answers, world.unread_item[users], item).astype(np.int32)
        rating = world.last_rating[users]
        sentiment = np.where(
            own, rating - 3, np.clip(np.take_along_axis(mentions, loudest[:, None], 1)[:, 0], -2, 2)
        )
        knows = own & (item == world.last_item[users])
        sentiment = np.where(answers & ~knows, 0, sentiment).astype(np.float32)
        posting = world.population.posting[users] + np.float32(b.post_intensity) * np.abs(sentiment)
        posts = (
            ~answers
            & (item != NOTHING)
            & (logistic(keys(seed, Purpose.POST_OR_CHAT, round, users)) < posting)
        )
        friend = self._partner(world, round, users)
        partner = np.where(answers, world.unread_author[users], np.where(posts, NOBODY, friend))
        kind = np.where(posts, EventKind.POST, EventKind.CHAT)
        kind = np.where(~posts & (partner == NOBODY), 0, kind).astype(np.int8)
        purpose = np.where(posts, Purpose.POST_WORDS, Purpose.CHAT_WORDS)
        variant = (uniform(keys(seed, Purpose.POST_WORDS, round, users, purpose)) * 4).astype(
            np.int16
        )
        partner_saw = world.watched.has(np.maximum(partner, 0), item) & (partner != NOBODY)
        code = feeling.encode_talk(
            answers, knows | (own & ~answers), feeling.mood(sentiment), partner_saw, variant
        )
        return SocialDecision(
            kind=kind,
            partner=partner.astype(np.int32),
            item=item,
            sentiment=np.where(kind == 0, 0, sentiment).astype(np.float32),
            code=np.where(kind == 0, 0, code).astype(np.int16),
        )

    def _partner(self, world: WorldView, round: int, users: Ints) -> Ints:
        """An acquaintance each, drawn in proportion to closeness; -1 without any."""
        row, tie = world.network.expand(users)
        partner = np.full(len(users), NOBODY, np.int32)
        if not len(row):
            return partner
        other = world.network.other[tie]
        pull = np.log(np.maximum(world.network.closeness[tie], np.float32(1e-3)))
        pull += gumbel(keys(world.seed, Purpose.CHAT_PARTNER, round, users[row], other))
        first: Bools = np.diff(row, prepend=-1) > 0
        best = np.maximum.reduceat(pull, np.flatnonzero(first))
        chosen = pull == best[np.cumsum(first) - 1]
        partner[row[chosen]] = other[chosen]
        return partner
