"""What an item on a page is worth to a user (MINDS, section 3):

U_ui = b_T theta_u.x_i + b_Q q_i + b_C c_u pop_i + b_W sum_v w_uv s_vi 2^(-dt/h)
     + b_N d_u nov_ui - b_F f_u,g(i) - b_S seen_ui + b_E E_ui, and - eta_u log(k + 1) at position k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recarena.server.evidence import PRAISE
from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.ports import PageView, WorldView
from recarena.server.randomness import Purpose, keys, normal
from recarena.server.types import NOTHING, Bools, Floats, Ints

REASONS = ("taste", "quality", "popularity", "friend", "novelty")
"""Terms that a feeling can be put down to, in the order of `main_reason`."""


class Utility:
    """The equations above for batches of users, with one set of coefficients."""

    def __init__(self, coefficients: Coefficients) -> None:
        self.coefficients = coefficients

    def of_page(self, world: WorldView, view: PageView) -> Floats:
        """[users, page size]: utility at its position, -inf where there is no item."""
        b = self.coefficients
        items = np.maximum(view.items, 0)
        users = view.users[:, None]
        people = world.population
        worth = np.float32(b.taste) * world.taste_scale * liking(world, view.users, items)
        worth += np.float32(b.quality) * world.catalog.quality[items]
        worth += np.float32(b.conformity) * people.conformity[users] * world.popularity[items]
        worth += np.float32(b.word_of_mouth) * word_of_mouth(
            world, view.round, view.users, items, b.mention_half_life
        )
        tired = fatigue(world, view, items)
        worth += np.float32(b.novelty) * people.diversity[users] * np.exp(-tired)
        worth -= np.float32(b.fatigue) * tired
        seen = world.watched.has(view.users, items) | _among(items, view.watched_now)
        worth -= np.float32(b.seen) * seen
        worth += np.float32(b.sought) * (items == view.sought[:, None])
        if view.claims:
            worth += np.float32(b.explanation) * self.explanations(world, view, seen)
        worth -= people.position_bias[users] * np.log1p(np.arange(items.shape[1], dtype=np.float32))
        worth += np.float32(b.item)
        return np.where(view.items >= 0, worth, np.float32(-np.inf))

    def explanations(self, world: WorldView, view: PageView, seen: Bools) -> Floats:
        """[users, page size]: E_ui = kappa_u (sum over true claims unknown to u of theta_ua
        - xi x false claims + psi_p where there is praise). What an item seen before is like is
        known; praise counts once and is believed as far as the user is credulous. No claim:
        exactly 0."""
        b = self.coefficients
        effect = np.zeros(view.items.shape, np.float32)
        for (row, position), claimed in view.claims.items():
            user, item = int(view.users[row]), int(view.items[row, position])
            total = b.credulity if PRAISE in claimed else 0.0
            for genre in claimed:
                if genre == PRAISE:
                    continue
                if genre < 0 or not world.catalog.genres[item, genre]:
                    total -= b.false_claim
                elif not seen[row, position]:
                    total += float(world.taste[user, genre])
            effect[row, position] = float(world.population.trust[user]) * total
        return effect

    def true_rating(self, world: WorldView, round: int, users: Ints, items: Ints) -> Floats:
        """[n]: r* = mu_u + theta.x + q + epsilon, without popularity, friends or explanations."""
        noise = normal(keys(world.seed, Purpose.RATING_NOISE, round, users, items))
        rating = (
            world.population.mean_rating[users]
            + liking(world, users, items[:, None])[:, 0]
            + world.catalog.quality[items]
            + np.float32(self.coefficients.rating_noise) * noise
        )
        return rating.astype(np.float32, copy=False)

    def expected_rating(self, world: WorldView, view: PageView, position: int | Ints) -> Floats:
        """[users]: what each user takes r* of the item at its `position` for, before watching:

        r^ = mu_u + sum_a k_a theta_ua x_ia + psi_p kappa_u [praise], with k_a, the share that is
        known of attribute a: 1 of an item seen before, else f + (1 - f) min(kappa_u, 1) of a genre
        that is truly claimed and f (`foresight`) of anything else.

        So true claims take the expectation towards the truth and never past it, false ones leave
        it where it is, and praise raises it whatever the item is like.
        """
        b = self.coefficients
        rows = np.arange(len(view.users))
        at = np.broadcast_to(np.asarray(position, np.int32), rows.shape)
        users, items = view.users, view.items[rows, at][:, None]
        seen = world.watched.has(users, items) | _among(items, view.watched_now)
        known = np.where(seen[:, 0], np.float32(1), np.float32(b.foresight))
        expected = world.population.mean_rating[users] + known * liking(world, users, items)[:, 0]
        for row, place in enumerate(at.tolist()):
            claimed = view.claims.get((row, place), ())
            user, item = int(users[row]), int(items[row, 0])
            trust = float(world.population.trust[user])
            told = 0.0
            for genre in sorted(set(claimed)):
                if genre >= 0 and world.catalog.genres[item, genre]:
                    share = float(world.catalog.attributes[item, genre])
                    told += float(world.taste[user, genre]) * share
            expected[row] += (1 - float(known[row])) * min(trust, 1.0) * told
            if PRAISE in claimed:
                expected[row] += b.credulity * trust
        return expected.astype(np.float32, copy=False)

    def main_reason(
        self, world: WorldView, view: PageView, row: NDArray[np.intp], position: Ints
    ) -> NDArray[np.int16]:
        """[n]: which of REASONS added most to the worth of what was watched."""
        b = self.coefficients
        users, items = view.users[row], view.items[row, position]
        conformity = world.population.conformity[users]
        terms = np.stack(
            [
                np.float32(b.taste)
                * world.taste_scale
                * liking(world, users, items[:, None])[:, 0],
                np.float32(b.quality) * world.catalog.quality[items],
                np.float32(b.conformity) * conformity * world.popularity[items],
                np.float32(b.word_of_mouth)
                * word_of_mouth(world, view.round, users, items[:, None], b.mention_half_life)[
                    :, 0
                ],
                np.float32(b.novelty) * world.population.diversity[users] * np.float32(0.5),
            ],
            axis=1,
        )
        return terms.argmax(axis=1).astype(np.int16)


def liking(world: WorldView, users: Ints, items: Ints) -> Floats:
    """[users, k]: theta_u.x_i in rating points. Summed attribute by attribute, so that the result
    does not depend on the size of the batch."""
    x = world.catalog.attributes
    theta = world.taste[users]
    total = np.zeros(items.shape, np.float32)
    for a in range(x.shape[1]):
        total += theta[:, a, None] * x[:, a][items]
    return total


def word_of_mouth(
    world: WorldView, round: int, users: Ints, items: Ints, half_life: float
) -> Floats:
    """[users, k]: sum over mentions of closeness x sentiment, halved every `half_life` rounds."""
    total = np.zeros(items.shape, np.float32)
    some = np.flatnonzero(world.heard.item[users, 0] != NOTHING)
    if len(some):
        faded = world.heard.faded(users[some], round, half_life)
        mentioned = world.heard.item[users[some]]
        part = np.zeros((len(some), items.shape[1]), np.float32)
        for slot in range(mentioned.shape[1]):
            same = items[some] == mentioned[:, slot, None]
            part += np.where(same, faded[:, slot, None], np.float32(0))
        total[some] = part
    return total


def fatigue(world: WorldView, view: PageView, items: Ints) -> Floats:
    """[users, k]: recent watches of the item's main genre, those of this visit included."""
    genre = world.catalog.main_genre[items]
    tired = np.where(
        genre >= 0, world.fatigue[view.users[:, None], np.maximum(genre, 0)], np.float32(0)
    )
    for column in range(view.watched_now.shape[1]):
        just = view.watched_now[:, column]
        just_genre = np.where(just >= 0, world.catalog.main_genre[np.maximum(just, 0)], -2)
        tired += genre == just_genre[:, None]
    return tired


def heard_of(world: WorldView, view: PageView, half_life: float) -> tuple[Floats, Ints]:
    """The strongest mention of an item that is neither on the page nor watched: its strength (0
    where there is none that speaks well of it) and the item (-1)."""
    strength = np.zeros(len(view.users), np.float32)
    sought = np.full(len(view.users), NOTHING, np.int32)
    some = np.flatnonzero(world.heard.item[view.users, 0] != NOTHING)
    if not len(some):
        return strength, sought
    users = view.users[some]
    mentioned = world.heard.item[users]
    known = world.watched.has(users, mentioned) | _among(mentioned, view.items[some])
    known |= _among(mentioned, view.watched_now[some]) | (mentioned == NOTHING)
    known |= mentioned == view.sought[some, None]
    loud = np.where(known, np.float32(0), world.heard.faded(users, view.round, half_life))
    slot = loud.argmax(axis=1)
    strength[some] = np.maximum(loud.max(axis=1), 0)
    sought[some] = np.where(strength[some] > 0, mentioned[np.arange(len(some)), slot], NOTHING)
    return strength, sought


def _among(items: Ints, others: Ints) -> Bools:
    """[users, k]: whether each item is among the user's others [users, m]; never for -1."""
    found = np.zeros(items.shape, bool)
    for column in range(others.shape[1]):
        found |= (items == others[:, column, None]) & (items >= 0)
    return found
