"""Where users stand: communities as islands that fill a page, friends near one another, those with
many ties in the middle. Worked out once for a network, and always the same for the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recarena.observatory.communities import Doubles, Numbers, Ties, communities_of

ASPECT = 1.6
"""Width by height of the page."""
GAP = 0.16
"""Between two islands, as a share of the sum of their radii."""
STRETCH = 1.5
"""How much wider or higher islands may get, so that the page is filled."""
SETTLING = 160
"""Steps in which islands find their places."""
TURNS = 14
"""Times that users look where their friends stand."""
GOLDEN = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True, slots=True)
class Layout:
    """Places on a page that is 2 wide and 2 / ASPECT high, (0, 0) in its middle."""

    x: Doubles
    """[users]"""
    y: Doubles
    community: Numbers
    """[users]"""
    centre_x: Doubles
    """[communities]"""
    centre_y: Doubles
    radius: Doubles
    """[communities]: half the width of the island."""


def layout_of(users: int, ties: Ties) -> Layout:
    """Places for the users of a network."""
    if users == 0:
        nobody, none = np.zeros(0), np.zeros(0, np.int64)
        return Layout(nobody, nobody, none, nobody, nobody, nobody)
    community = communities_of(users, ties)
    size = np.bincount(community)
    # As an island of n users has room for n: its area is n, and a rim for those on the shore.
    radius = np.sqrt(size) + 0.75
    centres = _islands(radius, _between(community, ties, len(size)))
    places = _inside(community, size, centres, ties)
    return _fitted(places, community, centres, radius)


def _between(community: Numbers, ties: Ties, count: int) -> Doubles:
    """[communities, communities]: how much ties draw two together, 0 to 1."""
    a, b = community[ties.a], community[ties.b]
    weight = np.bincount(a * count + b, ties.weight, count * count).reshape(count, count)
    weight = weight + weight.T
    np.fill_diagonal(weight, 0)
    size = np.bincount(community, minlength=count).astype(np.float64)
    drawn = weight / np.sqrt(np.outer(size, size))
    return drawn / max(float(drawn.max()), 1e-9)


def _islands(radius: Doubles, drawn: Doubles) -> Doubles:
    """[communities, 2]: centres of islands that do not overlap, together about ASPECT wide."""
    best, distance = np.zeros((len(radius), 2)), np.inf
    squeeze = 1.0
    for _ in range(6):
        centres = _settled(radius, drawn, squeeze)
        width, height = _extent(centres, radius)
        away = abs(np.log(width / height / ASPECT))
        if away < distance:
            best, distance = centres, away
        if away < 0.04:
            break
        squeeze = float(np.clip(squeeze * (ASPECT * height / width) ** 1.2, 0.05, 20))
    return best


def _settled(radius: Doubles, drawn: Doubles, squeeze: float) -> Doubles:
    """Centres after friends came together, all were pulled to the middle (`squeeze` times more in
    height than in width), and who overlapped was pushed apart."""
    count = len(radius)
    turn, out = np.arange(count) * GOLDEN, np.sqrt(np.arange(count) + 0.5)
    spread = np.sqrt((radius**2).sum()) / max(np.sqrt(count), 1.0)
    at = np.stack([np.cos(turn) * out * ASPECT, np.sin(turn) * out], axis=1) * spread
    pull = np.array([1.0, squeeze * ASPECT]) * 0.05
    reach = np.add.outer(radius, radius) * (1 + GAP)
    for step in range(SETTLING):
        cooling = 1 - step / SETTLING
        at -= at * np.minimum(pull * cooling, 0.5)
        apart = at[:, None] - at[None]
        length = np.sqrt((apart**2).sum(axis=2)) + 1e-9
        far = np.maximum(length - reach, 0) * drawn * 0.03 * cooling
        at -= (apart / length[..., None] * far[..., None]).sum(axis=1)
        at = _pushed(at, reach, 1)
    return _pushed(at, reach, 600)


def _pushed(at: Doubles, reach: Doubles, most: int) -> Doubles:
    """Centres after those that are nearer than their reach went apart, in at most so many steps."""
    count = len(at)
    if count == 1:
        return np.zeros((1, 2))
    off_diagonal = ~np.eye(count, dtype=np.bool_)
    for _ in range(most):
        apart = at[:, None] - at[None]
        length = np.sqrt((apart**2).sum(axis=2))
        over = np.where(off_diagonal, reach - length, 0)
        over[over < 1e-6 * reach] = 0
        if not over.any():
            break
        over = np.maximum(over, 0)
        way = apart / np.maximum(length, 1e-9)[..., None]
        at = at + (way * over[..., None] * 0.51).sum(axis=1)
    return at


def _extent(centres: Doubles, radius: Doubles) -> tuple[float, float]:
    low, high = centres - radius[:, None], centres + radius[:, None]
    width, height = (high.max(axis=0) - low.min(axis=0)).tolist()
    return width, height


def _inside(community: Numbers, size: Numbers, centres: Doubles, ties: Ties) -> Doubles:
    """[users, 2]: a place for each on the island of the community. Islands are sunflowers, so that
    nobody stands on anybody; who has more ties stands further in, and turns to where friends are.
    """
    users = len(community)
    ways = ties.both_ways()
    degree = np.bincount(ways.a, minlength=users)
    inwards = np.lexsort((np.arange(users), -degree, community))
    start = np.cumsum(size) - size
    seat = np.arange(users) - start[community[inwards]]
    """Of `inwards`: the number of the seat on the island, from the middle."""
    ring = np.ceil((np.sqrt(12 * seat + 9) - 3) / 6).astype(np.int64)
    home = community[inwards]
    angle, out = seat * GOLDEN, np.sqrt(seat + 0.5)
    offsets = np.stack([np.cos(angle) * out, np.sin(angle) * out], axis=1)
    seat_angle = np.arctan2(offsets[:, 1], offsets[:, 0])
    seats = np.lexsort((seat_angle, ring, home))
    """Seats by island, ring and direction."""
    weight = np.maximum(ways.weight, 0.05)
    at = np.empty((users, 2))
    at[inwards] = centres[home] + offsets
    for _ in range(TURNS):
        towards = np.stack(
            [np.bincount(ways.a, weight * at[ways.b, axis], users) for axis in (0, 1)], axis=1
        )
        known = np.bincount(ways.a, weight, users)
        towards = np.where(known[:, None] > 0, towards / np.maximum(known, 1e-9)[:, None], at)
        off = (towards - centres[community])[inwards]
        wish = np.arctan2(off[:, 1], off[:, 0])
        sitters = np.lexsort((wish, ring, home))
        at[inwards[sitters]] = (centres[home] + offsets)[seats]
    return at


def _fitted(places: Doubles, community: Numbers, centres: Doubles, radius: Doubles) -> Layout:
    """Moved to the middle of the page and stretched to fill it, as far as islands may be."""
    low = (centres - radius[:, None]).min(axis=0)
    high = (centres + radius[:, None]).max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    scale = np.array([1.0, 1 / ASPECT]) / half
    scale = np.minimum(scale, scale[::-1] * STRETCH)
    moved, islands = (places - middle) * scale, (centres - middle) * scale
    return Layout(
        moved[:, 0], moved[:, 1], community, islands[:, 0], islands[:, 1], radius * scale[0]
    )
