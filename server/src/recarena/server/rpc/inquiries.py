"""SimulationInquiryService: operators ask the users of runs, beside the simulation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf import json_format

from recarena.server.config import NAME
from recarena.server.errors import InputError, RecArenaError
from recarena.server.house import INQUIRIES, House
from recarena.server.inquiring.questions import Missing
from recarena.server.inquiring.sittings import LLM, Judge, Sittings
from recarena.server.llm.recorder import FILE
from recarena.server.rpc.inquiries_codec import (
    MAX_INQUIRIES,
    MAX_TALK,
    MAX_WORDS,
    answer_message,
    check_id,
    inquiries_from,
    missing_message,
    spent_message,
    words_from,
)
from recarena.server.rpc.refusal import refuse
from recarena.v1 import simulation_inquiry_service_pb2 as pb
from recarena.v1 import simulation_inquiry_service_pb2_grpc

if TYPE_CHECKING:
    from recarena.server.inquiring.composing import Wanted

MAX_MATERIAL = 2000
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class InquiryService(simulation_inquiry_service_pb2_grpc.SimulationInquiryServiceServicer):
    """Every error of the tree becomes its status. A run is read as it is on the disk, whoever has
    it open; only recordings are written, beside the runs."""

    def __init__(self, house: House, sittings: Sittings) -> None:
        self._house, self._sittings = house, sittings

    async def AskUsers(self, request: pb.AskUsersRequest, context: Context) -> pb.AskUsersResponse:
        """See the contract."""
        try:
            path, judge = self._house.folder_of(request.run_id), self._judge(request.judge, "judge")
            async with self._sittings.of(path, judge) as sitting:
                inquiries = await inquiries_from(request.inquiries, sitting.past)
                answers, respondent = await sitting.ask(inquiries, request.seed)
                return pb.AskUsersResponse(
                    answers=map(answer_message, inquiries, answers.said),
                    spent=spent_message(answers.spent),
                    judge=respondent.name,
                    prompts=respondent.prompts,
                )
        except RecArenaError as error:
            await refuse(context, error)

    async def ComposeTexts(
        self, request: pb.ComposeTextsRequest, context: Context
    ) -> pb.ComposeTextsResponse:
        """See the contract."""
        try:
            path = self._house.folder_of(request.run_id)
            writer = self._judge(request.writer, "writer")
            if writer.kind != LLM:
                raise InputError("only a language model writes texts", where="writer.kind")
            wanted = wanted_from(request.wanted)
            made = await self._sittings.composed(path, writer, wanted)
            response = pb.ComposeTextsResponse(spent=spent_message(made.spent), writer=made.writer)
            for one, text in zip(wanted, made.texts, strict=True):
                composed = response.texts.add(text_id=one.id)
                if isinstance(text, Missing):
                    composed.missing.CopyFrom(missing_message(text))
                else:
                    composed.text = text
            return response
        except RecArenaError as error:
            await refuse(context, error)

    def _judge(self, message: pb.Judge, where: str) -> Judge:
        try:
            tables: dict[str, Any] = json_format.MessageToDict(message.settings)
        except ValueError as error:  # a number that JSON does not have
            raise InputError(str(error), where=f"{where}.settings") from None
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise InputError("it is no table", where=f"{where}.settings.{name}")
        return Judge(message.kind, tables, self._recording(message.recording, where), where)

    def _recording(self, name: str, where: str) -> Path | None:
        if not name:
            return None
        if not re.fullmatch(NAME, name):
            raise InputError(
                f"{name[:140]!r} is no name of a recording",
                where=f"{where}.recording",
                remedy="A name has 1 to 63 of a-z, 0-9, '.', '_', '-'",
            )
        return self._house.folder / INQUIRIES / name / FILE


def wanted_from(messages: Sequence[pb.ComposeTextsRequest.Wanted]) -> list[Wanted]:
    """The texts that are asked for. InputError names the first field that is wrong."""
    from recarena.server.inquiring.composing import Wanted

    if len(messages) > MAX_INQUIRIES:
        raise InputError(
            f"{len(messages)} texts, at most {MAX_INQUIRIES} at a time", where="wanted"
        )
    ids, found = set[str](), list[Wanted]()
    for number, one in enumerate(messages):
        where = f"wanted[{number}]"
        check_id(one.text_id, ids, f"{where}.text_id")
        if not 1 <= one.max_chars <= MAX_WORDS:
            raise InputError(
                f"{one.max_chars} is not in 1..{MAX_WORDS}", where=f"{where}.max_chars"
            )
        brief = words_from(one.brief, f"{where}.brief", 1, MAX_TALK)
        material = words_from(one.material, f"{where}.material", 0, MAX_MATERIAL)
        found.append(Wanted(one.text_id, brief, material, one.max_chars))
    return found
