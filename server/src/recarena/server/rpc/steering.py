"""SimulationSteeringService: operators change the world of runs, and people play its users."""

from __future__ import annotations

from recarena.server.errors import Conflict, InputError
from recarena.server.house import House
from recarena.server.rpc.callers import current_caller
from recarena.server.rpc.observe_words import user_number
from recarena.server.rpc.once import Once
from recarena.server.rpc.refusal import Context
from recarena.server.rpc.steering_codec import change_from, intervention_message, under
from recarena.server.rpc.turns_codec import choice_from
from recarena.v1 import simulation_steering_service_pb2 as pb
from recarena.v1 import simulation_steering_service_pb2_grpc

MAX_TURN_ID = 128
"""Letters; a longer one is of no turn, and need not be said again in an error."""


class SteeringService(simulation_steering_service_pb2_grpc.SimulationSteeringServiceServicer):
    """Every error of the tree becomes its status; a repeated request_id its first answer."""

    def __init__(self, house: House, once: Once) -> None:
        self._house, self._once = house, once

    async def Intervene(
        self, request: pb.InterveneRequest, context: Context
    ) -> pb.InterveneResponse:
        """See the contract."""

        async def intervene() -> pb.InterveneResponse:
            run = self._house.run(request.run_id)
            if request.epoch and request.epoch != run.epoch:
                raise Conflict(
                    f"run {run.run_id} is in epoch {run.epoch}, not {request.epoch}: it was reset"
                )
            change, caller = change_from(request.intervention), current_caller.get()
            try:
                planned = run.intervene(
                    change, by=caller.name if caller else "", request_id=request.request_id
                )
            except InputError as error:
                raise under("intervention", error) from None
            return pb.InterveneResponse(intervention=intervention_message(planned))

        return await self._once(request, context, intervene)

    async def TakeTurn(self, request: pb.TakeTurnRequest, context: Context) -> pb.TakeTurnResponse:
        """See the contract."""

        async def take() -> pb.TakeTurnResponse:
            run = self._house.run(request.run_id)
            user = user_number(run, request.user_id)
            run.desk.decide(user, request.turn_id[:MAX_TURN_ID], choice_from(run, request.decision))
            return pb.TakeTurnResponse()

        return await self._once(request, context, take)
