"""Feedback in either encoding, and the cursors that tell its parts."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np

from recarena.server.ports import Feedback
from recarena.server.rpc.limits import MAX_TOKEN_BYTES, SPLIT_BYTES
from recarena.server.rpc.times import timestamp
from recarena.v1 import feedback_pb2, types_pb2

PAGES_PER_RICH_PART, PAGES_PER_COLUMNAR_PART = 256, 16384
"""At most; fewer where ids or pages are long."""

_VIEW = types_pb2.Interaction.TYPE_VIEW_ITEM
_RATE = types_pb2.Interaction.TYPE_RATE
_IMPRESSION = types_pb2.Interaction.TYPE_IMPRESSION
_RECOMMENDER = types_pb2.Impression.SOURCE_RECOMMENDER
_FALLBACK = types_pb2.Impression.SOURCE_FALLBACK


def cursor(epoch: int, round: int, position: int) -> str:
    """Cursor of a part that ends before page `position` (of history: row) of a round."""
    return f"{epoch}.{round}.{position}"


def read_cursor(text: str) -> tuple[int, int, int] | None:
    """(epoch, round, position), or None for what is no cursor of ours."""
    pieces = text.split(".")
    if len(pieces) != 3 or not all(p.isascii() and p.isdigit() and len(p) < 12 for p in pieces):
        return None
    epoch, round, position = (int(piece) for piece in pieces)
    return epoch, round, position


def pages_per_rich_part(page_size: int, user_bytes: int, item_bytes: int) -> int:
    """Pages whose feedback stays below SPLIT_BYTES in the rich form, every item watched and every
    token as long as it may be, for ids of at most so many bytes."""
    shown = item_bytes + 16
    watched = 3 * user_bytes + item_bytes + MAX_TOKEN_BYTES + 96
    page = 2 * user_bytes + MAX_TOKEN_BYTES + 64 + page_size * (shown + watched)
    return max(1, min(PAGES_PER_RICH_PART, SPLIT_BYTES // page))


def pages_per_columnar_part(page_size: int) -> int:
    """The same for the columnar form: at most 5 bytes a number and 8 a value."""
    return max(1, min(PAGES_PER_COLUMNAR_PART, SPLIT_BYTES // (page_size * 32)))


@lru_cache(maxsize=65536)
def _shown(item_id: str, position: int, explained: bool) -> types_pb2.Impression.Shown:
    return types_pb2.Impression.Shown(
        item_id=item_id, position=position, explanation_shown=explained
    )


def rich(
    feedback: Feedback,
    user_ids: list[str],
    item_ids: list[str],
    sim_time: datetime,
    cursor: str,
) -> feedback_pb2.FeedbackBatch:
    """A FeedbackBatch of the part of a round (or of history) that `feedback` holds."""
    batch = feedback_pb2.FeedbackBatch(round=feedback.round, cursor=cursor)
    when = timestamp(sim_time)
    users = [user_ids[user] for user in feedback.user.tolist()]
    items = [item_ids[item] for item in feedback.item.tolist()]
    if feedback.round == 0:
        batch.interactions.extend(
            [
                types_pb2.Interaction(
                    interaction_id=f"0-{user}-{item}",
                    type=_RATE,
                    user_id=user,
                    item_id=item,
                    value=value,
                )
                for user, item, value in zip(users, items, feedback.rating.tolist(), strict=True)
            ]
        )
        return batch
    positions = feedback.position.tolist()
    explained = [False] * len(users) if feedback.explained is None else feedback.explained.tolist()
    names = [
        f"{feedback.round}-{user_ids[user]}-{step}"
        for user, step in zip(feedback.page_user.tolist(), feedback.page_step.tolist(), strict=True)
    ]
    bounds = np.searchsorted(feedback.page, np.arange(len(names) + 1)).tolist()
    shown = list(map(_shown, items, positions, explained))
    surfaces, fallbacks = feedback.page_surface.tolist(), feedback.page_fallback.tolist()
    page_users = feedback.page_user.tolist()
    tokens = feedback.tokens
    batch.impressions.extend(
        [
            types_pb2.Impression(
                impression_id=name,
                user_id=user_ids[page_users[page]],
                source=_FALLBACK if fallbacks[page] else _RECOMMENDER,
                surface=surfaces[page],
                items=shown[bounds[page] : bounds[page + 1]],
                attribution_token=tokens.get(page, ""),
            )
            for page, name in enumerate(names)
        ]
    )
    rows = np.flatnonzero(~np.isnan(feedback.rating)).tolist()
    pages, ratings = feedback.page.tolist(), feedback.rating.tolist()
    batch.interactions.extend(
        [
            types_pb2.Interaction(
                interaction_id=f"{names[pages[row]]}-{positions[row]}",
                type=_RATE if ratings[row] else _VIEW,
                user_id=users[row],
                item_id=items[row],
                value=ratings[row] or None,
                impression_id=names[pages[row]],
                position=positions[row],
                attribution_token=tokens.get(pages[row], ""),
                round=feedback.round,
                sim_time=when,
            )
            for row in rows
        ]
    )
    return batch


def columns(feedback: Feedback, cursor: str) -> feedback_pb2.FeedbackColumns:
    """FeedbackColumns of the part of a round (or of history) that `feedback` holds."""
    rating = feedback.rating
    types = np.where(np.isnan(rating), _IMPRESSION, np.where(rating > 0, _RATE, _VIEW))
    fallbacks = feedback.page_fallback
    return feedback_pb2.FeedbackColumns(
        round=feedback.round,
        user_numbers=feedback.user.tolist(),
        item_numbers=feedback.item.tolist(),
        positions=feedback.position.tolist(),
        types=types.tolist(),
        values=np.where(rating > 0, rating, np.nan).tolist(),
        cursor=cursor,
        fallbacks=fallbacks[feedback.page].astype(int).tolist() if fallbacks.any() else (),
    )
