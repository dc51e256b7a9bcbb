"""Where recommenders wait for a run that wants them, and runs for a recommender."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from recarena.server.errors import Quarantined, SessionLost
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.session import Session

log = structlog.get_logger()
HINT_AFTER_S = 5.0
"""How long a recommender waits beside runs that want others before that is said."""


@dataclass(slots=True)
class _Waiting:
    session: Session
    called: asyncio.Future[RemoteRecommender]


@dataclass(slots=True)
class Lobby:
    """Matches sessions with the arms of live runs by recommender_id: first come, first served, and
    a returning recommender gets its own run again while that lives."""

    _waiting: list[_Waiting] = field(default_factory=list[_Waiting])
    _arms: list[RemoteRecommender] = field(default_factory=list[RemoteRecommender])
    _over: list[RemoteRecommender] = field(default_factory=list[RemoteRecommender])
    """Arms whose run has ended: for those who come back and have not heard all of it."""

    def catalogs(self) -> set[str]:
        """The versions that arms have in force whose recommenders may still come."""
        return {arm.catalog.version for arm in (*self._arms, *self._over)}

    def open(self, arm: RemoteRecommender) -> None:
        """An arm wants a recommender from now on, again after each loss, until `close`."""
        self._arms.append(arm)
        self._match()

    def close(self, arm: RemoteRecommender) -> None:
        """An arm wants no recommender any more; one that was lost at the end may still come back
        for what it has not been told."""
        self._arms.remove(arm)
        self._over = [one for one in self._over if one.lingers] + [arm]

    async def enter(self, session: Session) -> RemoteRecommender:
        """Waits until an arm wants this recommender. SessionLost when the session ends first,
        Quarantined where the run that it comes back to will not have it."""
        for other in list(self._waiting):
            if _same_instance(other.session, session):
                other.session.end(Fenced(other.session.session_id))
        waiting = _Waiting(session, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._match()
        ended = asyncio.ensure_future(session.ended.wait())
        either = {waiting.called, ended}
        try:
            await asyncio.wait(either, timeout=HINT_AFTER_S, return_when=asyncio.FIRST_COMPLETED)
            self._hint(session, waiting)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            # Also where whoever enters is cancelled: the place was given to it already.
            if session.ended.is_set() and waiting.called.done() and not waiting.called.exception():
                self.free(waiting.called.result(), session)
        if session.ended.is_set():
            raise SessionLost(session.session_id)
        return waiting.called.result()

    def _hint(self, session: Session, waiting: _Waiting) -> None:
        """Says once that a recommender waits while runs wait for others: its name may be wrong."""
        wanted = sorted({
            arm.assignment.arm.recommender for arm in self._arms
            if not arm.reserved and not arm.leaving
        })  # fmt: skip
        if waiting in self._waiting and not session.ended.is_set() and wanted:
            log.warning(
                "a recommender waits under a name that no run asks for",
                recommender=session.register.recommender_id, wanted=wanted,
            )  # fmt: skip

    def free(self, arm: RemoteRecommender, session: Session) -> None:
        """A session given to an arm is gone: the arm wants another."""
        for known in (arm.reserved, arm.leaving):
            if session in known:
                known.remove(session)
        arm.detach(session)
        self._match()

    def retire(self, arm: RemoteRecommender, session: Session) -> None:
        """A session given to an arm finishes what it has, and wants no more: the arm wants
        another."""
        self.free(arm, session)
        arm.leaving.append(session)

    def _match(self) -> None:
        for waiting in list(self._waiting):
            if waiting.session.ended.is_set() or waiting.session.draining.is_set():
                continue
            try:
                arm = self._arm_for(waiting.session)
            except Quarantined as error:
                self._waiting.remove(waiting)
                waiting.called.set_exception(error)
                continue
            if arm:
                self._fence(arm, waiting.session)
                arm.reserved.append(waiting.session)
                self._waiting.remove(waiting)
                waiting.called.set_result(arm)

    def _fence(self, arm: RemoteRecommender, session: Session) -> None:
        """Ends the earlier session of the same instance, if the arm has one."""
        for known in (arm.reserved, arm.leaving):
            for held in [one for one in known if _same_instance(one, session)]:
                log.info("session fenced", session=held.session_id)
                held.end(Fenced(held.session_id))
                known.remove(held)
                arm.detach(held)

    def _arm_for(self, session: Session) -> RemoteRecommender | None:
        """The arm that takes a session: the one its instance served, else one of the run that it
        comes back to, else the one with the fewest sessions."""
        register = session.register
        mine = [a for a in self._arms if a.assignment.arm.recommender == register.recommender_id]
        its_own = [arm for arm in mine if arm.assignment.run_id == register.resume_run_id]
        its_own = its_own or [
            arm
            for arm in self._over
            if arm.lingers
            and arm.assignment.arm.recommender == register.recommender_id
            and arm.assignment.run_id == register.resume_run_id
        ]
        for arm in its_own or mine:
            if any(_same_instance(held, session) for held in arm.reserved):
                return arm
        banned = [arm for arm in mine if register.instance_id in arm.quarantined]
        if any(arm in banned for arm in its_own):
            raise Quarantined("this instance was quarantined in the run: start it afresh")
        free = [
            arm
            for arm in its_own or mine
            if len(arm.reserved) < arm.assignment.arm.replicas and arm not in banned
        ]
        return min(free, key=lambda arm: len(arm.reserved), default=None)


def _same_instance(one: Session, other: Session) -> bool:
    """Whether two sessions are of the same instance of a recommender."""
    a, b = one.register, other.register
    return bool(a.instance_id) and (a.recommender_id, a.instance_id) == (
        b.recommender_id,
        b.instance_id,
    )


class Fenced(SessionLost):
    """A newer session of the same recommender instance took this one's place."""
