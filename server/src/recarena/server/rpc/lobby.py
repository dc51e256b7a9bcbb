"""Where recommenders wait for a run that wants them, and runs for a recommender."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from recarena.server.errors import SessionLost
from recarena.server.rpc.remote import RemoteRecommender
from recarena.server.rpc.session import Session
from recarena.v1 import session_pb2

log = structlog.get_logger()


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

    def open(self, arm: RemoteRecommender) -> None:
        """An arm wants a recommender from now on, again after each loss, until `close`."""
        self._arms.append(arm)
        self._match()

    def close(self, arm: RemoteRecommender) -> None:
        """An arm wants no recommender any more."""
        self._arms.remove(arm)

    async def enter(self, session: Session) -> RemoteRecommender:
        """Waits until an arm wants this recommender. SessionLost when the session ends first."""
        waiting = _Waiting(session, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._match()
        ended = asyncio.ensure_future(session.ended.wait())
        try:
            await asyncio.wait({waiting.called, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        if session.ended.is_set():
            if waiting.called.done():
                self.free(waiting.called.result(), session)
            raise SessionLost(session.session_id)
        return waiting.called.result()

    def free(self, arm: RemoteRecommender, session: Session) -> None:
        """A session given to an arm is gone: the arm wants another."""
        if arm.reserved_for is session:
            arm.reserved_for = None
        arm.detach(session)
        self._match()

    def _match(self) -> None:
        for waiting in list(self._waiting):
            arm = self._arm_for(waiting.session)
            if arm:
                if arm.reserved_for:
                    log.info("session fenced", session=arm.reserved_for.session_id)
                    arm.reserved_for.end(Fenced(arm.reserved_for.session_id))
                arm.reserved_for = waiting.session
                self._waiting.remove(waiting)
                waiting.called.set_result(arm)

    def _arm_for(self, session: Session) -> RemoteRecommender | None:
        register = session.register
        mine = [a for a in self._arms if a.assignment.arm.recommender == register.recommender_id]
        its_own = [arm for arm in mine if arm.assignment.run_id == register.resume_run_id]
        if not its_own:
            return next((arm for arm in mine if arm.reserved_for is None), None)
        return next((arm for arm in its_own if not arm.reserved_for or _holds(arm, register)), None)


def _holds(arm: RemoteRecommender, register: session_pb2.Register) -> bool:
    """Whether an earlier session of the same instance has the arm."""
    held = arm.reserved_for
    return bool(held and register.instance_id and held.register.instance_id == register.instance_id)


class Fenced(SessionLost):
    """A newer session of the same recommender instance took this one's place."""
