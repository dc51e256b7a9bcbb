"""Social life: chats between two users and posts to all acquaintances."""

from __future__ import annotations

import numpy as np

from recarena.server.ports import Mind, WorldView
from recarena.server.types import EventColumns, EventKind, Ints


async def socialise(world: WorldView, mind: Mind, round: int, users: Ints) -> EventColumns:
    """Plays the social network for a cohort. What is said reaches others when the round is
    applied: a post can be answered from the next round on."""
    decision = await mind.socialise(world, round, users)
    enters = EventColumns.make(
        len(users), round=round, user=users, kind=EventKind.ENTER_SOCIAL, text=decision.failed
    )
    said = np.flatnonzero(decision.kind)
    rows = {old: new for new, old in enumerate(said.tolist())} if decision.words else {}
    talk = EventColumns.make(
        len(said),
        round=round,
        user=users[said],
        kind=decision.kind[said],
        item=decision.item[said],
        value=decision.sentiment[said],
        other=decision.partner[said],
        code=decision.code[said],
        text={rows[row]: words for row, words in decision.words.items()},
    )
    return EventColumns.concat([enters, talk])
