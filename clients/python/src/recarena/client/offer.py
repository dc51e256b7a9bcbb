"""What a recommender says of itself when it registers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from recarena.client.engagement import Engagement
from recarena.client.errors import ProtocolBroken
from recarena.client.recommender import Recommender, overrides
from recarena.v1.session_pb2 import Capability, Register, Registered

Encoding: TypeAlias = Literal["auto", "rich", "columnar"]
PROTOCOL_MINOR = 0
# Works that the server has under way at once when max_outstanding_work is 0.
DEFAULT_OUTSTANDING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Everything of Register that does not change from session to session."""

    recommender_id: str
    encoding: Encoding = "auto"
    software_version: str = ""
    max_users_per_work: int = 0
    max_outstanding_work: int = 0
    # In place of what the recommender's methods tell.
    capabilities: tuple[Capability.ValueType, ...] | None = None

    def register(self, instance_id: str, engagement: Engagement) -> Register:
        """The first message of a session.

        Raises:
            TypeError: the recommender has not the methods that the offer needs.
        """
        recommender, run = engagement.recommender, engagement.run
        return Register(
            recommender_id=self.recommender_id,
            instance_id=instance_id,
            software_name=type(recommender).__name__,
            software_version=self.software_version,
            protocol_minor=PROTOCOL_MINOR,
            capabilities=sorted(self.features(recommender)),
            max_outstanding_work=self.max_outstanding_work,
            max_users_per_work=self.max_users_per_work,
            resume_session_id=engagement.session_id if run else "",
            resume_run_id=run.run_id if run else "",
            feedback_cursor=engagement.cursor if run else "",
            catalog_version=run.catalog.version if run else "",
        )

    def features(self, recommender: Recommender) -> set[Capability.ValueType]:
        """The capabilities to offer for a recommender.

        Raises:
            TypeError: it cannot rank in the encoding that is asked for.
        """
        name = type(recommender).__name__
        missing = columnar_gaps(recommender)
        rich = overrides(recommender, "rank")
        if self.encoding == "columnar" and missing:
            raise TypeError(f"encoding='columnar', but {name} has no {' and no '.join(missing)}")
        if self.encoding == "rich" and not rich:
            raise TypeError(f"encoding='rich', but {name} has no rank")
        if missing and not rich:
            raise TypeError(f"{name} has no rank, and for columnar no {' and no '.join(missing)}")
        columnar = not missing and self.encoding != "rich"
        if self.capabilities is not None:
            return {Capability.CAPABILITY_RANK, *self.capabilities}
        found = {Capability.CAPABILITY_RANK}
        if overrides(recommender, "search_columns" if columnar else "search"):
            found.add(Capability.CAPABILITY_SEARCH)
        if overrides(recommender, "converse"):
            found.add(Capability.CAPABILITY_CONVERSE)
        if columnar:
            found.add(Capability.CAPABILITY_COLUMNAR)
        return found

    def check(self, registered: Registered, recommender: Recommender) -> None:
        """Whether the recommender has methods for the encoding that is in force.

        Raises:
            ProtocolBroken: it has not, because the server does not know COLUMNAR.
        """
        if is_columnar(registered):
            return
        if self.encoding == "columnar" or not overrides(recommender, "rank"):
            raise ProtocolBroken(
                f"the server does not know COLUMNAR, and {type(recommender).__name__}"
                " is served in that encoding alone"
            )


def columnar_gaps(recommender: Recommender) -> list[str]:
    """Methods that a columnar session would miss: rank_columns, and the forms of what is there."""
    pairs = {"search": "search_columns", "feedback": "feedback_columns"}
    gaps = [] if overrides(recommender, "rank_columns") else ["rank_columns"]
    for rich, columns in pairs.items():
        if overrides(recommender, rich) and not overrides(recommender, columns):
            gaps.append(columns)
    return gaps


def is_columnar(registered: Registered) -> bool:
    return Capability.CAPABILITY_COLUMNAR in registered.capabilities


def capability_set(
    capabilities: Iterable[Capability.ValueType] | None,
) -> tuple[Capability.ValueType, ...] | None:
    return None if capabilities is None else tuple(sorted(set(capabilities)))
