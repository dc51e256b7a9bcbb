"""The small interfaces between the engine and what is plugged into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recarena.server.catalog import Catalog
from recarena.server.hearing import Hearsay
from recarena.server.network import Network
from recarena.server.population import Population
from recarena.server.types import (
    Bools,
    EventColumns,
    Floats,
    Ints,
    MemoryColumns,
    RoundResult,
    WorkRecord,
)
from recarena.server.watched import Watched


@dataclass(frozen=True, slots=True)
class RankRequest:
    """Lists wanted for many users of one arm."""

    round: int
    users: Ints
    offsets: Ints
    """[users]: ranks to skip."""
    count: int
    """Items wanted per list."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """Searches of many users of one arm."""

    round: int
    users: Ints
    offsets: Ints
    count: int
    texts: list[str]
    """Distinct words typed."""
    text_of: Ints
    """[users]: position in texts."""
    conversation: bool = False
    """True: the words open a conversation rather than go to the search box."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Validated lists, in the order of the request: only known items, none twice."""

    items: Ints
    """[queries, count]: item numbers, best first, -1 where the list is shorter."""
    outcome: NDArray[np.int8]
    """[queries]: an Outcome each; items of a list that is not usable are the failure policy's."""
    tokens: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> attribution token, where the recommender sent one."""
    explanations: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """(row, position) -> words."""
    claims: dict[tuple[int, int], tuple[int, ...]] = field(
        default_factory=dict[tuple[int, int], tuple[int, ...]]
    )
    """(row, position) -> genres that the explanation claims, -1: one that does not exist."""
    evidence: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """(row, position) -> the evidence that the claims were read from, as the log keeps it (the
    module `evidence` writes it)."""
    withheld: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """(row, position) of the explanations that users do not get to see."""
    works: tuple[WorkRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the users of one arm saw and did in one round: one row per item shown, in (user, step,
    position) order; in history (round 0) one row per item rated, `page` = -1."""

    round: int
    user: Ints
    item: Ints
    position: NDArray[np.int16]
    rating: Floats
    """The rating, 0: watched but not rated, NaN: passed over."""
    page: Ints
    """Row of the page in page_user and page_step."""
    page_user: Ints
    page_step: NDArray[np.int16]
    page_surface: NDArray[np.int8]
    page_fallback: Bools
    tokens: dict[int, str] = field(default_factory=dict[int, str])
    """Page -> attribution token."""
    explained: Bools | None = None
    """[rows]: shown with an explanation; None: nowhere."""

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, slots=True)
class RoundTally:
    """How a recommender's lists fared in one round."""

    accepted: int
    fallback: int


class Recommender(Protocol):
    """Supplies lists to one arm of one run. Never raises for a recommender's fault: what is late,
    wrong or missing comes back as an Outcome. Raises RunPaused or RunFailed where the arm's
    failure policy says so."""

    @property
    def can_search(self) -> bool:
        """Whether users of this arm have a search box."""
        ...

    @property
    def can_converse(self) -> bool:
        """Whether visits may open with words."""
        ...

    async def catalog_changed(self, changed: Ints) -> None:
        """Between rounds, before `round_started`: the items of these numbers are new, or were
        changed or withdrawn. Returns when the recommender has them."""
        ...

    async def round_started(self, round: int, sim_time: datetime, expected: int) -> float:
        """Opens a round; returns the milliseconds the recommender took to get ready."""
        ...

    async def rank(self, request: RankRequest) -> Lists:
        """Lists in the order of the request."""
        ...

    async def search(self, request: SearchRequest) -> Lists:
        """Lists in the order of the request; one without items is a valid answer."""
        ...

    async def round_ended(self, feedback: Feedback, tally: RoundTally) -> None:
        """Hands over what happened, after it was committed."""
        ...


class RunStore(Protocol):
    """Keeps the rounds of one run. A round is there as a whole or not at all."""

    @property
    def last_round(self) -> int:
        """Last committed round, 0 before the first."""
        ...

    @property
    def digest(self) -> str:
        """Canonical hash of the event log so far (hex)."""
        ...

    async def commit(self, result: RoundResult, sim_time: datetime) -> None:
        """Keeps a round; it must be last_round + 1."""
        ...

    def rounds(self, first: int, last: int) -> Iterator[tuple[EventColumns, MemoryColumns]]:
        """Events and memories of committed rounds first..last, a round at a time."""
        ...


class WorldView(Protocol):
    """What minds may read of the world: nothing of it changes within a round. Between two rounds
    interventions may change catalogue, population and network in place."""

    seed: int
    round: int
    """The last round applied."""
    catalog: Catalog
    population: Population
    network: Network
    taste: Floats
    taste_scale: np.float32
    """1 / standard deviation of theta.x over pairs of users and items."""
    fatigue: Floats
    gap: Ints
    last_item: Ints
    last_rating: Floats
    unshared: Bools
    unread: NDArray[np.int16]
    unread_author: Ints
    unread_item: Ints
    heard: Hearsay
    watched: Watched
    by_person: Bools
    """[users]: whom a person plays in the round to come."""
    turn_time_s: Floats
    """[users]: how long a person may take for one decision."""
    popularity: Floats
    """[items]: log(1 + watches so far), standardised over the catalogue."""
    displayed_rating: Floats
    """[items]: mean rating as everybody sees it."""

    def satisfaction(self, users: Ints) -> Floats:
        """In 0..1."""
        ...


@dataclass(frozen=True, slots=True)
class PageView:
    """What a batch of users sees: one page each. Rows are users of one cohort."""

    round: int
    step: int
    users: Ints
    items: Ints
    """[users, page size]; -1: nothing at that position."""
    page: NDArray[np.int16]
    """[users]: which page of the list it is, from 0."""
    surface: NDArray[np.int8]
    """[users]: a Surface each."""
    sought: Ints
    """[users]: the item the user searched for to get here, -1: none."""
    can_search: bool
    watched_now: Ints
    """[users, n]: items watched earlier in this visit, -1: none."""
    claims: dict[tuple[int, int], tuple[int, ...]] = field(
        default_factory=dict[tuple[int, int], tuple[int, ...]]
    )
    """(row, position) -> genres that an explanation claims for the item, -1: one it has not."""
    explanations: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """(row, position) -> the explanation's words."""
    last: bool = False
    """Whether the visits end with this page, whatever is decided."""


@dataclass(frozen=True, slots=True)
class PageDecision:
    """What a batch of users does with its pages."""

    watched: Ints
    """[users, page size]: positions in the order of watching, -1: no more."""
    rating: NDArray[np.int8]
    """[users, page size], beside watched: 1..5, 0 where not rated."""
    appraisal: Floats
    """[users, page size], beside watched: rating points better than expected."""
    code: NDArray[np.int16]
    """[users, page size], beside watched: template of the feeling, 0: see words."""
    action: NDArray[np.int8]
    """[users]: EventKind NEXT, SEARCH or LEAVE, after the watches."""
    sought: Ints
    """[users]: the item searched for, -1: see sought_code or query."""
    sought_code: NDArray[np.int16]
    """[users]: genre searched for + 1, 0: none."""
    words: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """(row, column of watched) -> feeling in own words."""
    query: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> search words of one's own."""
    failed: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> why the user leaves without having decided to."""


@dataclass(frozen=True, slots=True)
class SocialDecision:
    """What a batch of users does in the social network."""

    kind: NDArray[np.int8]
    """[users]: EventKind CHAT, POST, or 0 where there is nobody or nothing to talk about."""
    partner: Ints
    """[users]: chat partner, or the author whose post a POST answers, -1: none."""
    item: Ints
    """[users]: what it is about, -1: nothing in particular."""
    sentiment: Floats
    """[users]: -2..2."""
    code: NDArray[np.int16]
    """[users]: template of the words, 0: see words."""
    words: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> words of one's own."""
    failed: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> why the user says nothing without having decided to."""


@dataclass(frozen=True, slots=True)
class Activities:
    """What a batch of users turns to in a round."""

    kind: NDArray[np.int8]
    """[users]: EventKind ENTER_RECOMMENDER, ENTER_SOCIAL or IDLE."""
    failed: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> why the user does nothing without having decided to."""


@dataclass(frozen=True, slots=True)
class Openings:
    """How a batch of users opens its visits, where the recommender can talk."""

    code: NDArray[np.int16]
    """[users]: genre asked for + 1 where the visit opens with a conversation, 0: see words."""
    words: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> words of one's own, with which the visit opens."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the users of one kind of mind are best decided for."""

    of: Callable[[Ints], Ints]
    """Those of some users who are of the kind, in the same order."""
    cohort_size: int = 0
    """Users who take their steps together; 0: as many as the run's settings say."""
    cohorts_at_once: int = 0
    """Likewise."""


class Mind(Protocol):
    """Decides for users, a batch at a time. Reads the world and changes nothing; what a mind
    remembers changes when a round is committed (`committed`), never within one."""

    async def prepare(self) -> dict[str, object]:
        """Looks whether the mind can decide at all, before the first round that is played; returns
        what the manifest is to say of it. InputError where it cannot."""
        ...

    def manners(self) -> list[Manner]:
        """One for each kind of mind; each user is of one of them."""
        ...

    async def choose_activity(self, world: WorldView, round: int, users: Ints) -> Activities:
        """What each user turns to. A round begins with it."""
        ...

    async def opens_with_words(self, world: WorldView, round: int, users: Ints) -> Openings:
        """Who opens the visit with words, and with which."""
        ...

    async def act(self, world: WorldView, view: PageView) -> PageDecision:
        """What each user does with the page."""
        ...

    async def socialise(self, world: WorldView, round: int, users: Ints) -> SocialDecision:
        """What each user does in the social network."""
        ...

    async def remember(self, world: WorldView, round: int, events: EventColumns) -> MemoryColumns:
        """The memories that a round leaves, by its events (all users', in the order of the log).
        RunPaused where the round may not be committed."""
        ...

    def committed(self, round: int, memories: MemoryColumns) -> None:
        """Takes over what was remembered of a committed round, in the order of the rounds; also
        when a run is opened again."""
        ...

    async def close(self) -> None:
        """Lets go of what the mind holds; it is not used after that."""
        ...
