"""One run of the scripted server: played by a clock, without minds or recommenders."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from recarena.server.errors import Conflict, InputError
from recarena.v1 import run_pb2, steering_pb2, types_pb2
from support.observatory import changes
from support.observatory.scenery import (
    ARMS,
    PAGE,
    REASON,
    Columns,
    Scenery,
    open_page,
    played_round,
)
from support.observatory.speaking import FIRST_DAY, summary

State = run_pb2.RunState
Type = run_pb2.UserEvent
ENDED = (State.RUN_STATE_SUCCEEDED, State.RUN_STATE_STOPPED)
MOST_PAGES = 5
NAMES = ("kind", "item", "position", "value", "other", "step", "surface", "outcome", "user")


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run goes, and how much happens in it."""

    rounds: int = 1000
    events: int = 250
    """Events of a round besides SHOWN ones."""
    every_s: float = 0.5
    """From the beginning of a round to that of the next; 0: as fast as it can."""


@dataclass(slots=True)
class Turn:
    """What a person has to decide."""

    message: steering_pb2.PlayTurn
    decided: asyncio.Future[steering_pb2.Decision]
    until: float


@dataclass(slots=True)
class Seat:
    """A user whom a person plays."""

    turn: Turn | None = None
    outcome: steering_pb2.TurnOutcome = steering_pb2.TURN_OUTCOME_UNSPECIFIED
    missed: int = 0
    asked: int = 0


@dataclass(slots=True)
class Play:
    """A run. Whoever waits for a change awaits `changed`."""

    run_id: str
    founding: Scenery
    pace: Pace
    seed: int = 2**63 + 11
    llm: bool = True
    error: str = ""
    forked_from: tuple[str, int] | None = None
    state: run_pb2.RunState = State.RUN_STATE_CREATED
    epoch: int = 1
    changes: int = 0
    logs: list[Columns] = field(default_factory=list[Columns])
    people: list[frozenset[int]] = field(default_factory=list[frozenset[int]])
    rounds: list[run_pb2.RoundSummary] = field(default_factory=list[run_pb2.RoundSummary])
    journal: list[steering_pb2.Intervention] = field(
        default_factory=list[steering_pb2.Intervention]
    )
    played: dict[int, float] = field(default_factory=dict[int, float])
    seats: dict[int, Seat] = field(default_factory=dict[int, Seat])
    world: Scenery = field(init=False)
    _event: asyncio.Event = field(default_factory=asyncio.Event)
    _pausing: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.world = self.founding.copy()

    @property
    def round(self) -> int:
        return len(self.logs)

    @property
    def pending(self) -> list[steering_pb2.Intervention]:
        return [one for one in self.journal if not one.applied]

    def message(self) -> run_pb2.Run:
        """As the wire has it."""
        made = run_pb2.Run(
            run_id=self.run_id, state=self.state, seed=self.seed, epoch=self.epoch,
            round=self.round, round_limit=self.pace.rounds, world="made-up",
            etag=f"{self.epoch}.{self.round}.{self.state}.{self.changes}",
            folder=f"/runs/{self.run_id}", user_count=len(self.founding.people),
            create_time=Timestamp(seconds=FIRST_DAY),
            minds="a language model for 3 of 4 users, the choice mind for the others"
            if self.llm else "the choice mind",
        )  # fmt: skip
        for arm in ARMS:
            made.arms.append(run_pb2.Arm(arm_id=arm, recommender_id=f"{arm}-recommender", weight=1))
        if self.llm:
            pages = sum(one.pages for one in self.rounds)
            made.spending.calls = pages
            made.spending.input_tokens, made.spending.output_tokens = pages * 900, pages * 60
            made.spending.cost, made.spending.currency = round(pages * 0.0012, 6), "USD"
            made.spending.max_cost, made.spending.failures = 25.0, pages // 500
        if self.error:
            made.error.message = self.error
        if self.forked_from:
            made.forked_from.run_id, made.forked_from.round = self.forked_from
        return made

    async def changed(self, since: int) -> None:
        """Returns when there were changes since."""
        while self.changes == since:
            await self._event.wait()

    def note(self) -> None:
        """Tells whoever waits."""
        self.changes += 1
        event, self._event = self._event, asyncio.Event()
        event.set()

    # ------------------------------------------------------------------------ driving
    def start(self, rounds: int = 0) -> None:
        if self.state in ENDED or self.state == State.RUN_STATE_RUNNING:
            raise Conflict(f"run {self.run_id} is {State.Name(self.state)[10:].lower()}")
        self.error, self.state = "", State.RUN_STATE_RUNNING
        self._pausing.clear()
        self._task = asyncio.create_task(self._go(self.round + rounds if rounds else 0))
        self.note()

    def pause(self) -> None:
        if self.state != State.RUN_STATE_RUNNING:
            raise Conflict(f"run {self.run_id} is not running")
        self._pausing.set()

    async def stop(self) -> None:
        if self.state in ENDED:
            raise Conflict(f"run {self.run_id} has ended")
        await self.close()
        self.state = State.RUN_STATE_STOPPED
        self.note()

    async def close(self) -> None:
        """Ends the clock."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def reset(self, seed: int | None) -> None:
        if self.state == State.RUN_STATE_RUNNING:
            raise Conflict(f"run {self.run_id} is running; pause it first")
        await self.close()
        self.seed, self.epoch = self.seed if seed is None else seed, self.epoch + 1
        self.state, self.error, self.world = State.RUN_STATE_CREATED, "", self.founding.copy()
        for one in (self.logs, self.people, self.rounds, self.journal, self.played, self.seats):
            one.clear()
        self.note()

    def fork(self, round: int, run_id: str) -> Play:
        if not 0 <= round <= self.round:
            raise InputError(f"it has rounds 0 to {self.round}", where="round")
        made = Play(run_id, self.founding, self.pace, self.seed, self.llm,
                    forked_from=(self.run_id, round))  # fmt: skip
        made.logs, made.people = self.logs[:round], self.people[:round]
        made.rounds = self.rounds[:round]
        for one in sorted(self.journal, key=lambda one: one.number):
            if one.applied and one.round <= round:
                made.journal.append(one)
                changes.take_up(made.world, made.played, one)
        for user in sorted(made.played):
            back = steering_pb2.HandBack(user_id=made.world.people[user].user_id)
            made.intervene(steering_pb2.Intervention(hand_back=back), by="fork")
        made.state = State.RUN_STATE_PAUSED
        return made

    def intervene(
        self, change: steering_pb2.Intervention, by: str = "operator"
    ) -> steering_pb2.Intervention:
        """Accepts a change for the round that begins next."""
        if self.state in ENDED:
            raise Conflict(f"run {self.run_id} has ended; fork it and change the fork")
        made = steering_pb2.Intervention()
        made.CopyFrom(change)
        made.text = changes.check(self.world, self.played, change)
        made.number, made.by = len(self.journal) + 1, by
        made.round, made.applied = self.round + 1, False
        made.receive_time.FromSeconds(FIRST_DAY + len(self.journal))
        self.journal.append(made)
        self.note()
        return made

    # ------------------------------------------------------------------------ playing
    def play_ahead(self, rounds: int) -> None:
        """Commits so many rounds at once, with nobody at a seat."""
        for _ in range(rounds):
            log = played_round(self.world, self.seed, self.round + 1, self.pace.events)
            self._commit(log, frozenset(), 40.0)

    async def _go(self, until: int) -> None:
        try:
            await self._clock(until)
        except Exception as error:
            self.state, self.error = State.RUN_STATE_FAILED, f"the scripted server: {error!r}"
            self.note()
            raise

    async def _clock(self, until: int) -> None:
        clock = asyncio.get_running_loop()
        while self.state == State.RUN_STATE_RUNNING:
            began = clock.time()
            await self._round(began)
            if self.round >= self.pace.rounds:
                self.state = State.RUN_STATE_SUCCEEDED
            elif self._pausing.is_set() or self.round == until:
                self.state = State.RUN_STATE_PAUSED
            self.note()
            rest = max(0.0, began + self.pace.every_s - clock.time())
            if self.state == State.RUN_STATE_RUNNING:
                try:
                    await asyncio.wait_for(self._pausing.wait(), rest)
                except TimeoutError:
                    continue
                self.state = State.RUN_STATE_PAUSED
                self.note()

    async def _round(self, began: float) -> None:
        number, log = self.round + 1, Columns()
        for change in self.pending:
            if not change.applied:
                changes.take_up(self.world, self.played, change)
                change.round, change.applied = number, True
                user, item = _about(self.world, change)
                log.add(-1, Type.TYPE_INTERVENTION, other=user, item=item,
                        value=float(change.number), words=change.text)  # fmt: skip
        people = frozenset(self.played)
        self.seats = {user: self.seats.get(user, Seat()) for user in people}
        if people:
            self.note()
        order = sorted(people)
        done = await asyncio.gather(*(self._sit(user, number) for user in order))
        skip: set[int] = set()
        for user, own in zip(order, done, strict=True):
            seat = self.seats[user]
            seat.missed = 0 if len(own) else seat.missed + 1
            if len(own):
                skip.add(user)
                _append(log, own)
            else:
                back = steering_pb2.HandBack(user_id=self.world.people[user].user_id)
                self.intervene(steering_pb2.Intervention(hand_back=back), by="deadline")
        _append(log, played_round(self.world, self.seed + self.epoch - 1, number,
                                  self.pace.events, frozenset(skip)))  # fmt: skip
        wall = asyncio.get_running_loop().time() - began
        self._commit(log, people, wall * 1000)

    def _commit(self, log: Columns, people: frozenset[int], wall_ms: float) -> None:
        self.rounds.append(summary(log, round=self.round + 1, wall_ms=wall_ms, people=people))
        self.people.append(people)
        self.logs.append(log)

    async def _sit(self, user: int, number: int) -> Columns:
        """What a person has the user do; empty where nothing was decided in time."""
        log, asked = Columns(), steering_pb2.PlayTurn
        friends = sorted(self.world.ties.of[user].items(), key=lambda tie: -tie[1][1])
        doing = await self._ask(user, number, activity=asked.Activity(can_socialise=bool(friends)))
        if doing is None:
            return log
        if doing.activity == steering_pb2.Decision.DOING_NOTHING:
            log.add(user, Type.TYPE_IDLE)
        elif doing.activity == steering_pb2.Decision.DOING_SOCIAL:
            log.add(user, Type.TYPE_ENTER_SOCIAL)
            people = self.world.people
            social = asked.Social(
                acquaintances=[
                    asked.Acquaintance(user_id=people[other].user_id, name=people[other].name,
                                       kind=kind, closeness=close)
                    for other, (kind, close) in friends
                ],
                last_item_id=self.world.films[0].item_id, last_title=self.world.films[0].title,
            )  # fmt: skip
            said = await self._ask(user, number, social=social)
            if said is not None and said.social.words:
                to = self.world.number_of.get(said.social.user_id, -1)
                log.add(user, Type.TYPE_CHAT if to >= 0 else Type.TYPE_POST, other=to, item=0,
                        words=said.social.words)  # fmt: skip
        else:
            await self._visit(user, number, log)
        return log

    async def _visit(self, user: int, number: int, log: Columns) -> None:
        asked, films = steering_pb2.PlayTurn, self.world.films
        log.add(user, Type.TYPE_ENTER_RECOMMENDER)
        surface, query = types_pb2.SURFACE_FEED, ""
        opening = await self._ask(user, number, opening=asked.Opening())
        if opening is not None and opening.opening.words:
            log.add(user, Type.TYPE_CONVERSE, words=opening.opening.words)
            surface = types_pb2.SURFACE_CONVERSATION
        for step in range(MOST_PAGES if opening is not None else 0):
            first = (number * 7 + user + step * PAGE) % (len(films) - PAGE)
            items = list(range(first, first + PAGE))
            open_page(log, user, step, surface, 1, items)
            page = asked.Page(step=step, surface=surface, can_search=True, query=query,
                              last=step == MOST_PAGES - 1)  # fmt: skip
            for at, item in enumerate(items):
                film = films[item]
                page.items.add(item_id=film.item_id, title=film.title, categories=film.categories,
                               position=at, displayed_rating=3.5, description=film.description,
                               explanation=REASON * (at == 0))  # fmt: skip
            decision = await self._ask(user, number, page=page)
            if decision is None:
                break
            for one in decision.page.watches:
                log.add(user, Type.TYPE_WATCH, item=items[one.position], position=one.position,
                        step=step, value=float(one.rating), words=one.feeling)  # fmt: skip
            if decision.page.action == steering_pb2.Decision.ACTION_SEARCH:
                query, surface = decision.page.query, types_pb2.SURFACE_SEARCH
                log.add(user, Type.TYPE_SEARCH, step=step, words=query)
            elif decision.page.action == steering_pb2.Decision.ACTION_NEXT:
                log.add(user, Type.TYPE_NEXT, step=step)
            else:
                break
        log.add(user, Type.TYPE_LEAVE)

    async def _ask(
        self, user: int, number: int, **question: object
    ) -> steering_pb2.Decision | None:
        """The person's decision; None past the deadline."""
        seat, clock = self.seats[user], asyncio.get_running_loop()
        seat.asked += 1
        message = steering_pb2.PlayTurn(
            turn_id=f"{number}.{user}.{seat.asked}", user_id=self.world.people[user].user_id,
            round=number, **question,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        seconds = self.played[user]
        seat.turn = Turn(message, clock.create_future(), clock.time() + seconds)
        self.note()
        try:
            decision = await asyncio.wait_for(seat.turn.decided, seconds)
            seat.outcome = steering_pb2.TURN_OUTCOME_DECIDED
            return decision
        except TimeoutError:
            seat.outcome = steering_pb2.TURN_OUTCOME_TIMED_OUT
            return None
        finally:
            seat.turn = None
            self.note()

    def take(self, user: int, turn_id: str, decision: steering_pb2.Decision) -> None:
        """Decides."""
        seat = self.seats.get(user)
        if seat is None or seat.turn is None or seat.turn.message.turn_id != turn_id:
            raise Conflict(f"turn {turn_id[:80]!r} is over")
        wanted, given = seat.turn.message.WhichOneof("question"), decision.WhichOneof("decision")
        if wanted != given:
            raise InputError(f"it has to be a decision on {wanted}", where="decision")
        if not seat.turn.decided.done():
            seat.turn.decided.set_result(decision)


def _about(world: Scenery, change: steering_pb2.Intervention) -> tuple[int, int]:
    body = getattr(change, change.WhichOneof("change") or "")
    item_id = body.item.item_id if hasattr(body, "item") else getattr(body, "item_id", "")
    item = world.film(item_id)
    return world.number_of.get(getattr(body, "user_id", ""), -1), -1 if item is None else item


def _append(log: Columns, more: Columns) -> None:
    for row, words in more.words.items():
        log.words[len(log) + row] = words
    for name in NAMES:
        getattr(log, name).extend(getattr(more, name))
