"""A readable excerpt of a run: what two or three users did and said in a few rounds.

Which users and rounds is read from the run folder; the sentences come from the server's observe
service, which has the words of every event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from recarena.evaluation.runs.events import EventKind as Kind
from recarena.evaluation.runs.events import Events
from recarena.evaluation.runs.run_log import RunLog

if TYPE_CHECKING:
    from rich.table import Table

    from recarena.v1.simulation_observe_service_pb2_grpc import SimulationObserveServiceAsyncStub

MOST_USERS = 3
LOOKED_AT = 5_000
"""Users among whom an excerpt is sought: the first so many of the population."""


class Doing(IntFlag):
    """What an excerpt should show."""

    NOTHING = 0
    BROWSE = 1
    NEXT_PAGE = 2
    SEARCH = 4
    WATCH = 8
    CHAT = 16
    POST = 32
    ANSWER = 64
    """Answering somebody's post; then it is no CHAT or POST besides."""


ALL = ~Doing.NOTHING
DOING_OF_KIND = {
    Kind.PAGE: Doing.BROWSE,
    Kind.NEXT: Doing.NEXT_PAGE,
    Kind.SEARCH: Doing.SEARCH,
    Kind.WATCH: Doing.WATCH,
    Kind.CHAT: Doing.CHAT,
    Kind.POST: Doing.POST,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A user answers what another has posted in an earlier round."""

    user: int
    round: int
    author: int
    posted: int
    """Round of the post."""
    watched: int = 0
    """Round in which the user then watches what the post was about; 0: never."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Users, and for each the rounds to tell of, in order."""

    rounds: Mapping[int, tuple[int, ...]]
    shows: Doing
    """What these rounds show together."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event in words."""

    round: int
    user_id: str
    user_name: str
    text: str


def choose(log: RunLog) -> Choice:
    """Up to three users whose rounds together show as much of Doing as the run has; the same for
    the same run.

    An answered post comes first, with its author and the one who answers (one who then watches what
    it was about, if there is one); then whoever shows most of what is missing, in as few and as
    short rounds as will do.
    """
    users = min(len(log.user_ids), LOOKED_AT)
    events = log.events.take(log.events.user < users)
    answers = find_answers(events)
    did = _doings(events, answers, users, log.rounds)
    length = np.zeros((users, log.rounds + 1), np.int64)
    told = events.take(events.kind != Kind.SHOWN)
    np.add.at(length, (told.user, told.round), 1)
    at_all = np.bitwise_or.reduce(did, axis=1)

    chosen: dict[int, set[int]] = {}
    if answers:
        user, author = [one.user for one in answers], [one.author for one in answers]
        together = np.bitwise_or(at_all[user], at_all[author])
        followed = np.array([one.watched > 0 for one in answers])
        best = answers[int((np.bitwise_count(together) + 8 * followed).argmax())]
        chosen = {best.author: {best.posted}, best.user: {best.round, best.watched} - {0}}
    possible = int(np.bitwise_or.reduce(at_all, initial=0))
    while len(chosen) < MOST_USERS:
        seen = int(np.bitwise_or.reduce(at_all[list(chosen)], initial=0)) if chosen else 0
        gain = np.bitwise_count(at_all & ~np.uint8(seen))
        if not len(gain) or not gain.max():
            break
        chosen[int(gain.argmax())] = set()
    shows = _shown(did, chosen)
    while shows != possible and (cell := _next_round(did, length, chosen, shows)):
        chosen[cell[0]].add(cell[1])
        shows = _shown(did, chosen)
    return Choice(
        {user: tuple(sorted(rounds)) for user, rounds in chosen.items() if rounds}, Doing(shows)
    )


def find_answers(events: Events) -> list[Answer]:
    """Posts that were answered: by a post that answers its author, or by a chat with the author
    about the item of a post of an earlier round."""
    posts = events.of(Kind.POST)
    posted: dict[tuple[int, int], list[int]] = {}
    columns = zip(posts.user.tolist(), posts.item.tolist(), posts.round.tolist(), strict=True)
    for author, item, round in columns:
        posted.setdefault((author, item), []).append(round)
    watches = events.of(Kind.WATCH)
    watched: dict[tuple[int, int], int] = {}
    columns = zip(watches.user.tolist(), watches.item.tolist(), watches.round.tolist(), strict=True)
    for user, item, round in columns:
        watched[user, item] = round
    found: list[Answer] = []
    said = events.of(Kind.CHAT, Kind.POST)
    said = said.take(said.other >= 0)
    rows = zip(
        said.user.tolist(), said.round.tolist(), said.other.tolist(), said.item.tolist(),
        strict=True,
    )  # fmt: skip
    for user, round, other, item in rows:
        earlier = [one for one in posted.get((other, item), ()) if one < round]
        if earlier and user != other:
            later = watched.get((user, item), 0)
            found.append(Answer(user, round, other, earlier[-1], later if later > round else 0))
    return found


def _doings(
    events: Events, answers: Iterable[Answer], users: int, rounds: int
) -> NDArray[np.uint8]:
    """[users, rounds + 1]: what each user did in each round, as the bits of Doing."""
    did = np.zeros((users, rounds + 1), np.uint8)
    for kind, doing in DOING_OF_KIND.items():
        rows = events.kind == kind
        did[events.user[rows], events.round[rows]] |= np.uint8(doing)
    for answer in answers:
        cell = did[answer.user, answer.round] & ~np.uint8(Doing.CHAT | Doing.POST)
        did[answer.user, answer.round] = cell | np.uint8(Doing.ANSWER)
    return did


def _shown(did: NDArray[np.uint8], chosen: Mapping[int, Iterable[int]]) -> int:
    shown = 0
    for user, rounds in chosen.items():
        for round in rounds:
            shown |= int(did[user, round])
    return shown


def _next_round(
    did: NDArray[np.uint8], length: NDArray[np.int64], chosen: Mapping[int, set[int]], shown: int
) -> tuple[int, int] | None:
    """(user, round) that adds most to what is shown, the shortest of those; None: nothing does."""
    users = list(chosen)
    gain = np.bitwise_count(did[users] & ~np.uint8(shown)).astype(np.int64)
    if not gain.size or not gain.max():
        return None
    longest = int(length[users].max()) + 1
    best = int((gain * longest - length[users]).argmax())
    at, round = divmod(best, did.shape[1])
    return users[at], round


async def read_lines(
    stub: SimulationObserveServiceAsyncStub, log: RunLog, choice: Choice
) -> list[Line]:
    """The chosen rounds in the server's words, in order of the log. grpc.aio.AioRpcError."""
    from recarena.v1.simulation_observe_service_pb2 import StreamEventsRequest

    if not choice.rounds:
        return []
    wanted = {log.user_ids[user]: set(rounds) for user, rounds in choice.rounds.items()}
    last = max(max(rounds) for rounds in choice.rounds.values())
    stream = stub.StreamEvents(StreamEventsRequest(run_id=log.run_id, user_ids=sorted(wanted)))
    lines: list[Line] = []
    try:
        async for message in stream:
            if message.WhichOneof("event") == "user_event":
                event = message.user_event
                if message.round in wanted.get(event.user_id, ()) and event.text:
                    name = event.user_name or event.user_id
                    lines.append(Line(message.round, event.user_id, name, event.text))
            if message.HasField("round_ended") and message.round >= last:
                break
    finally:
        stream.cancel()
    return lines


def as_table(lines: Sequence[Line]) -> Table:
    """The lines for a terminal: each round is named once, and a blank line stands between users."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    before: tuple[int, str] | None = None
    for line in lines:
        here = (line.round, line.user_id)
        if before and here != before:
            table.add_row()
        same_round = before is not None and before[0] == line.round
        table.add_row("" if same_round else f"round {line.round}", Text(line.text))
        before = here
    return table


def as_record(line: Line) -> dict[str, object]:
    """The line as a JSON object."""
    return {name: cast("object", getattr(line, name)) for name in Line.__slots__}
