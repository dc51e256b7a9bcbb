"""The Python SDK: connect a recommender to RecArena.

Extend `Recommender`, then `serve` the class. The messages that its methods are given are those of
`recarena.v1`; the common ones can be imported from here.
"""

from recarena.client.answers import Answer, ItemColumns, Ranked, Reply
from recarena.client.catalog import Catalog
from recarena.client.credentials import tls
from recarena.client.errors import (
    BadCredentials,
    ClientError,
    Fenced,
    InvalidRegister,
    NotAuthenticated,
    NotPermitted,
    PreconditionFailed,
    ProtocolBroken,
    RecommenderFailed,
    Refused,
    Unreachable,
    WrongAnswer,
)
from recarena.client.offer import Encoding
from recarena.client.recommender import Recommender, RunInfo
from recarena.client.serving import serve, serve_async
from recarena.v1.feedback_pb2 import FeedbackBatch, FeedbackColumns
from recarena.v1.session_pb2 import Capability
from recarena.v1.types_pb2 import Evidence, Explanation, Impression, Interaction, Item, RankedItem
from recarena.v1.work_pb2 import (
    ConverseWork,
    RankBatch,
    RankQuery,
    SearchBatch,
    SearchQuery,
    Turn,
    UserContext,
)

__all__ = [
    "Answer",
    "BadCredentials",
    "Capability",
    "Catalog",
    "ClientError",
    "ConverseWork",
    "Encoding",
    "Evidence",
    "Explanation",
    "FeedbackBatch",
    "FeedbackColumns",
    "Fenced",
    "Impression",
    "Interaction",
    "InvalidRegister",
    "Item",
    "ItemColumns",
    "NotAuthenticated",
    "NotPermitted",
    "PreconditionFailed",
    "ProtocolBroken",
    "RankBatch",
    "RankQuery",
    "Ranked",
    "RankedItem",
    "Recommender",
    "RecommenderFailed",
    "Refused",
    "Reply",
    "RunInfo",
    "SearchBatch",
    "SearchQuery",
    "Turn",
    "Unreachable",
    "UserContext",
    "WrongAnswer",
    "serve",
    "serve_async",
    "tls",
]
