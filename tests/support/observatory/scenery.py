"""A made-up world and its rounds for the scripted server: nothing of it is simulated, all of it
follows from numbers."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np

from recarena.v1 import run_pb2, types_pb2

Type = run_pb2.UserEvent
FIRST = ("Olivia", "Noah", "Emma", "Liam", "Ava", "Sofia", "Mateo", "Yuki", "Zoë", "Björn",
         "Nadia", "Ismael", "Priya", "Chen", "Łukasz", "Aoife", "Tariq", "Ingrid",
         "Paulo", "Mei")  # fmt: skip
LAST = ("Carter", "Okafor", "Nguyen", "Schmidt", "Rossi", "Kowalska", "Haddad", "Silva", "Berg",
        "Tanaka", "O’Neill", "Novák", "Iyer", "Dubois", "Larsen", "Costa", "Adeyemi")  # fmt: skip
HOSTILE = (
    '<img src="https://evil.example/x" onerror="alert(1)">',
    "</script><script>alert(2)</script>",
    "javascript:alert(3)",
    "‮evil‬ {{7*7}} ${alert(4)}",
    "a-name-as-long-as-a-name-may-be-and-then-some-without-any-space-to-break-it-at-0123456789",
    '" onmouseover="alert(5)" x="',
    "<style>*{display:none}</style>",
    "👩‍👩‍👧‍👦 Ünïcødé 名前 שלום",
)
"""Names and titles that want to break a page."""
GENRES = ("Action", "Animation", "Comedy", "Crime", "Drama", "Fantasy", "Horror", "Romance",
          "Sci-Fi", "Thriller")  # fmt: skip
TITLE = ("The Lion", "Northern", "A Quiet", "Last", "Paper", "The Glass", "Midnight", "Iron",
         "Summer", "The Seventh")  # fmt: skip
NOUN = ("King", "Harbour", "Garden", "Letter", "Moon", "Orchestra", "River", "Stranger", "Winter",
        "Detective", "Promise")  # fmt: skip
OCCUPATIONS = ("teacher", "nurse", "student", "engineer", "clerk", "farmer")
KINDS = ("friend", "family", "colleague", "acquaintance")
PAGE = 5
REASON = "Because you liked others like it."
ARMS = ("als", "item-knn", "popular")


@dataclass(slots=True)
class Person:
    """One user."""

    user_id: str
    name: str
    community: int
    arm: int
    profile: dict[str, str]
    traits: dict[str, float]
    tastes: dict[str, float]


@dataclass(slots=True)
class Film:
    """One item."""

    item_id: str
    title: str
    categories: list[str]
    year: int
    description: str = ""
    withdrawn: bool = False


@dataclass(slots=True)
class Ties:
    """user -> other -> (kind, closeness)."""

    of: list[dict[int, tuple[str, float]]]

    def count(self) -> int:
        return sum(len(one) for one in self.of)


@dataclass(slots=True)
class Scenery:
    """Users, ties and items as they are now; interventions change a copy."""

    people: list[Person]
    ties: Ties
    films: list[Film]
    number_of: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.number_of = {one.user_id: at for at, one in enumerate(self.people)}

    def copy(self) -> Scenery:
        return copy.deepcopy(self)

    def film(self, item_id: str) -> int | None:
        return next((at for at, one in enumerate(self.films) if one.item_id == item_id), None)


@dataclass(slots=True)
class Columns:
    """The log of one round, in the columns of EventColumns, and the words of some rows."""

    user: list[int] = field(default_factory=list[int])
    kind: list[int] = field(default_factory=list[int])
    item: list[int] = field(default_factory=list[int])
    position: list[int] = field(default_factory=list[int])
    value: list[float] = field(default_factory=list[float])
    other: list[int] = field(default_factory=list[int])
    step: list[int] = field(default_factory=list[int])
    surface: list[int] = field(default_factory=list[int])
    outcome: list[int] = field(default_factory=list[int])
    words: dict[int, str] = field(default_factory=dict[int, str])

    def __len__(self) -> int:
        return len(self.user)

    def add(self, user: int, kind: int, **rest: float | str) -> None:
        words = str(rest.pop("words", ""))
        if words:
            self.words[len(self.user)] = words
        self.user.append(user)
        self.kind.append(kind)
        none = {"item": -1, "position": -1, "value": 0.0, "other": -1, "step": -1}
        for name in ("item", "position", "value", "other", "step", "surface", "outcome"):
            getattr(self, name).append(rest.pop(name, none.get(name, 0)))
        assert not rest, rest

    def message(self) -> run_pb2.EventColumns:
        """As the wire has them."""
        widths = {"user": "<i4", "kind": "i1", "item": "<i4", "position": "<i2", "value": "<f4",
                  "other": "<i4", "step": "<i2", "surface": "i1", "outcome": "i1"}  # fmt: skip
        made = run_pb2.EventColumns(rows=len(self))
        for name, width in widths.items():
            setattr(made, name, np.array(getattr(self, name), width).tobytes())
        return made


def scenery(users: int, ties: int, films: int = 400, *, seed: int = 7) -> Scenery:
    """So many users in communities of unequal size, with so many undirected ties, most of them
    within a community."""
    draw = np.random.default_rng([seed, 1])
    communities = max(3, min(24, users // 60))
    share = draw.dirichlet(np.full(communities, 3.0))
    member = np.sort(draw.choice(communities, users, p=share))
    people = [_person(at, int(member[at]), draw) for at in range(users)]
    inside = [np.flatnonzero(member == one) for one in range(communities)]
    of: list[dict[int, tuple[str, float]]] = [{} for _ in range(users)]
    made, tried = 0, 0
    while made < ties and tried < ties * 20:
        tried += 1
        a = int(draw.integers(users))
        near = inside[int(member[a])]
        far = draw.random() < 0.08 or len(near) < 2
        b = int(draw.integers(users)) if far else int(draw.choice(near))
        if a == b or b in of[a]:
            continue
        tie = KINDS[int(draw.integers(len(KINDS)))], round(float(draw.beta(2, 2)), 3)
        of[a][b], of[b][a] = tie, tie
        made += 1
    return Scenery(people, Ties(of), [_film(at, draw) for at in range(films)])


def _person(at: int, community: int, draw: np.random.Generator) -> Person:
    name = f"{FIRST[at % len(FIRST)]} {LAST[(at * 7 + at // len(FIRST)) % len(LAST)]}"
    if at % 40 == 3 and at // 40 < len(HOSTILE):
        name = HOSTILE[at // 40]
    traits = {"mean_rating": 3.5, "activity": 0.6, "conformity": 0.2, "diversity": 0.4,
              "position_bias": 0.3, "posting": 0.1, "sociability": 0.3, "trust": 0.5}  # fmt: skip
    profile = {"age": str(18 + at * 13 % 60), "gender": "MF"[at % 2],
               "occupation": OCCUPATIONS[at % len(OCCUPATIONS)],
               "traits": HOSTILE[0] if at == 5 else "curious, patient",
               "interests": ", ".join(GENRES[(at + i) % len(GENRES)] for i in (0, 3))}  # fmt: skip
    tastes = {genre: round(float(draw.normal(0, 0.8)), 2) for genre in GENRES}
    user_id = "a/b?c#d %2F" if at == 13 else f"u{at + 1}"
    return Person(user_id, name, community, at % len(ARMS), profile, traits, tastes)


def _film(at: int, draw: np.random.Generator) -> Film:
    title = f"{TITLE[at % len(TITLE)]} {NOUN[(at // len(TITLE) + at) % len(NOUN)]}"
    year = 1950 + int(draw.integers(75))
    title = HOSTILE[at // 30] if at % 30 == 4 and at // 30 < len(HOSTILE) else f"{title} ({year})"
    genres = sorted({GENRES[int(one)] for one in draw.integers(len(GENRES), size=2)})
    return Film(f"i{at + 1}", title, genres, year, f"A film of {year}.")


def played_round(
    world: Scenery, seed: int, round: int, events: int, skip: frozenset[int] = frozenset()
) -> Columns:
    """What users do in a round: at least `events` rows besides the SHOWN ones (as far as there are
    users), without those of `skip`. It follows from the arguments alone."""
    draw = np.random.default_rng([seed, round, 2])
    log, counted = Columns(), 0
    shown = [at for at, one in enumerate(world.films) if not one.withdrawn]
    for user in draw.permutation(len(world.people)).tolist():
        before = len(log)
        if user in skip:
            continue
        if counted >= events:
            break
        roll = draw.random()
        if roll < 0.05:
            log.add(user, Type.TYPE_IDLE)
        elif roll < 0.25:
            _social(log, world, user, draw, shown)
        else:
            _visit(log, world, user, draw, shown)
        counted += sum(kind != Type.TYPE_SHOWN for kind in log.kind[before:])
    return log


def _social(
    log: Columns, world: Scenery, user: int, draw: np.random.Generator, shown: list[int]
) -> None:
    log.add(user, Type.TYPE_ENTER_SOCIAL)
    item = shown[int(draw.integers(len(shown)))]
    friends = sorted(world.ties.of[user])
    title, mood = world.films[item].title, float(draw.integers(-2, 3))
    if friends and draw.random() < 0.7:
        partner = friends[int(draw.integers(len(friends)))]
        log.add(user, Type.TYPE_CHAT, item=item, other=partner, value=mood,
                words=f"Have you seen {title}?\nNot yet!")  # fmt: skip
    else:
        log.add(user, Type.TYPE_POST, item=item, value=mood, words=f"Just saw {title}. Well!")


def _visit(
    log: Columns, world: Scenery, user: int, draw: np.random.Generator, shown: list[int]
) -> None:
    log.add(user, Type.TYPE_ENTER_RECOMMENDER)
    surface = types_pb2.SURFACE_FEED
    if draw.random() < 0.05:
        log.add(user, Type.TYPE_CONVERSE, words="something quiet, please")
        surface = types_pb2.SURFACE_CONVERSATION
    for step in range(4):
        outcome = 1 if draw.random() < 0.95 else int(draw.integers(2, 7))
        items = [] if outcome > 2 else draw.choice(shown, PAGE, replace=False).tolist()
        open_page(log, user, step, surface, outcome, items)
        for position in np.flatnonzero(draw.random(len(items)) < 0.25).tolist():
            log.add(user, Type.TYPE_WATCH, item=items[position], position=position, step=step,
                    value=float(draw.integers(0, 6)), words="It stayed with me.")  # fmt: skip
        roll = draw.random()
        if step == 3 or roll < 0.5:
            break
        if roll < 0.8:
            log.add(user, Type.TYPE_NEXT, step=step)
        else:
            wanted = world.films[shown[int(draw.integers(len(shown)))]].title
            log.add(user, Type.TYPE_SEARCH, step=step, words=wanted)
            surface = types_pb2.SURFACE_SEARCH
    log.add(user, Type.TYPE_LEAVE)


def open_page(
    log: Columns, user: int, step: int, surface: int, outcome: int, items: list[int]
) -> None:
    """A page and its items."""
    log.add(user, Type.TYPE_PAGE, position=len(items), step=step, surface=surface, outcome=outcome)
    for position, item in enumerate(items):
        log.add(user, Type.TYPE_SHOWN, item=item, position=position, step=step,
                words=REASON if position == 0 else "")  # fmt: skip
