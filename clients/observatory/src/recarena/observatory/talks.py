"""Talks with users, beside the run: nothing of them is remembered, and nothing is changed."""

from __future__ import annotations

from google.protobuf import json_format

from recarena.observatory.failures import bad
from recarena.observatory.fields import chosen, text_in
from recarena.observatory.library import Library
from recarena.observatory.messages import Json, known
from recarena.observatory.upstream import Upstream
from recarena.v1 import run_pb2, work_pb2
from recarena.v1 import simulation_inquiry_service_pb2 as inquiry_pb

PATIENCE_S = 180.0
MOST_TURNS = 20
"""Of a conversation, the newest that a user is told of."""
MOST_RECORDING_CHARS = 63
SPEAKERS = {"asker": work_pb2.Turn.SPEAKER_RECOMMENDER, "user": work_pb2.Turn.SPEAKER_USER}
WORDLESS = (
    "{name} has the choice mind, which has no words. Name a language model that answers in the "
    "user's place: anthropic:MODEL or openai:MODEL"
)
MISSING = {
    inquiry_pb.Missing.REASON_NOT_ABLE: "whoever answers for this user has no words",
    inquiry_pb.Missing.REASON_REFUSED: "the model refused to answer",
    inquiry_pb.Missing.REASON_UNREADABLE: "no answer could be read",
    inquiry_pb.Missing.REASON_TRUNCATED: "the answer was cut off",
    inquiry_pb.Missing.REASON_REJECTED: "the provider would not take the question",
    inquiry_pb.Missing.REASON_NOT_APPLICABLE: "the user says that there is no answer",
}


class Talks:
    """Asks users, as `recarena interview` does: by the run's own language model, or by one that is
    named. Calls are recorded, so that the same question at the same moment is paid for once."""

    def __init__(self, upstream: Upstream, library: Library) -> None:
        self._upstream, self._library = upstream, library

    async def answer(self, run_id: str, asked: Json) -> Json:
        """What a user says to a question, or why nothing. Failure."""
        user_id, mind = text_in(asked, "user_id"), text_in(asked, "mind", "")
        talk = talk_of(asked)
        model = named(mind) if mind else None
        chronicle = await self._library.opened(run_id)
        user = chronicle.roster.users[chronicle.roster.number(user_id)]
        if model is None:
            model = own_model(chronicle.run) if user.mind != "choice" else None
        if model is None:
            missing = WORDLESS.format(name=user.name)
            return {"answer": None, "missing": missing, "judge": "choice", "cost": None,
                    "currency": ""}  # fmt: skip
        request = inquiry_pb.AskUsersRequest(run_id=run_id, judge=judge_of(run_id, model))
        # The same words at the same place of a conversation are the same inquiry.
        number = len(talk.turns) // 2 + 1
        request.inquiries.add(inquiry_id=f"talk {number}", user_id=user_id, talk=talk)
        answer = await self._upstream.ask(self._upstream.inquiry.AskUsers, request, PATIENCE_S)
        return _told(answer)


def talk_of(asked: Json) -> inquiry_pb.TalkTask:
    """The question, and the conversation that it goes on with. Failure names what is wrong."""
    made = inquiry_pb.TalkTask(question=text_in(asked, "question"))
    turns = asked.get("turns") or []
    if not isinstance(turns, list):
        raise bad("turns", "turns are a list")
    for at, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise bad(f"turns[{at}]", "a turn is an object")
        made.turns.add(
            speaker=chosen(turn.get("speaker"), SPEAKERS, f"turns[{at}].speaker"),
            text=text_in(turn, "text", where=f"turns[{at}]."),
        )
    del made.turns[:-MOST_TURNS]
    return made


def named(mind: str) -> Json:
    """Settings of the model that a PROVIDER:MODEL is. Failure for what is none."""
    provider, colon, model = mind.partition(":")
    if not (provider and colon and model):
        raise bad("mind", f"{mind[:80]!r} is no PROVIDER:MODEL", "For example anthropic:claude-…")
    return {"provider": provider, "model": model}


def own_model(run: run_pb2.Run) -> Json | None:
    """Settings of the run's own model; None where its users have choice minds. It decided with its
    recording; it answers beside it."""
    llm = json_format.MessageToDict(run.settings).get("llm")
    if not isinstance(llm, dict) or not llm.get("provider"):
        return None
    return {**llm, "recording": "", "replay": "reuse"}


def judge_of(run_id: str, model: Json) -> inquiry_pb.Judge:
    """A language model that answers with the user's memories, by the run's own settings of those;
    its calls are recorded beside the run."""
    recording = f"observatory-{run_id}"[:MOST_RECORDING_CHARS]
    judge = inquiry_pb.Judge(kind="llm", recording=recording)
    json_format.ParseDict({"llm": model}, judge.settings)
    return judge


def _told(answer: inquiry_pb.AskUsersResponse) -> Json:
    said = answer.answers[0]
    words = said.words.text if said.HasField("words") else None
    missing = said.missing
    return {
        "answer": words,
        "missing": ""
        if words is not None
        else missing.detail or MISSING.get(missing.reason, "there is no answer"),
        "judge": answer.judge,
        "cost": known(answer.spent, "cost"),
        "currency": answer.spent.currency,
    }
