"""`recarena competition serve`: a gRPC server, an umpire and a web server, until stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from recarena.evaluation.hosting.config import BASELINE, Competition
from recarena.evaluation.hosting.ledger import HIDDEN, Status
from recarena.evaluation.hosting.own import own_tokens
from recarena.evaluation.hosting.season import Season, held, open_season
from recarena.evaluation.hosting.settings import BadCompetition
from recarena.evaluation.hosting.standing import Standings
from recarena.evaluation.hosting.tokens import TokenBook
from recarena.evaluation.hosting.umpire import Umpire
from recarena.evaluation.hosting.web import Site
from recarena.evaluation.playing.arena import CALL_TIMEOUT_S
from recarena.evaluation.playing.channels import Access, open_channel
from recarena.evaluation.playing.contenders import REFERENCE
from recarena.evaluation.playing.processes import Program, ProgramDied, Programs, find_program
from recarena.evaluation.playing.sendable import sendable
from recarena.evaluation.playing.stage import READY_TIMEOUT_S
from recarena.v1.run_pb2 import Arm, Run
from recarena.v1.simulation_control_service_pb2 import CreateRunRequest
from recarena.v1.simulation_control_service_pb2_grpc import SimulationControlServiceStub

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "[::1]"}
"""Addresses to listen on, and where this machine finds itself then."""
MAX_HEADER_BYTES = 16 * 1024
MAX_CONNECTIONS = 256
REQUEST_TIMEOUT_S = 20.0
"""For the head of a request, from when the connection is there or the last answer is given."""
ANSWER_TIMEOUT_S = 60.0
"""For the rest and the answer, from when the head had to be there."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What is told when everything is up."""

    http: str
    grpc: str
    commitment: str
    season: str


Announce = Callable[[Serving], None]
Say = Callable[[str], None]


async def serve(competition: Competition, announce: Announce, say: Say) -> None:
    """Serves until the task is cancelled or a signal comes (then playing.processes.Interrupted).

    What is under way then pauses at its last committed round, and goes on when the season is
    served again. BadCompetition, ProgramDied, and what playing.stage.EXPECTED has.
    """
    baselines = [f"{BASELINE}{name}" for name in competition.baselines]
    folder = competition.folder
    with held(folder), _listening(competition) as door:
        async with (
            # Taken back last, when nobody calls with them any more.
            own_tokens(folder, competition.tokens, baselines) as (operator, own),
            Programs(folder / "logs") as programs,
        ):
            server, address = await _start_server(programs, competition)
            async with open_channel(_access(competition, address, operator)) as channel:
                season = await open_season(
                    competition, lambda world: _check_settings(competition, world, channel)
                )
                await _start_baselines(programs, season, address, own)
                umpire, standings = Umpire(season, channel, say), Standings(season)
                dial = competition.serve.address or address
                tokens = TokenBook(competition.tokens)
                web = _Web(competition, Site(season, umpire, standings, tokens, dial))
                http = f"http{'s' if competition.tls else ''}://{_name(door)}"
                told = Serving(http, dial, season.published["commitment"], competition.season)
                await programs.while_alive(
                    _together(umpire, standings, web, door, lambda: announce(told)),
                    needed=[server],
                )


async def _together(
    umpire: Umpire,
    standings: Standings,
    web: _Web,
    door: socket.socket,
    ready: Callable[[], None],
) -> None:
    """Everything at once, until one of them fails or all are cancelled."""
    serving = asyncio.create_task(web.serve(sockets=[door]))
    playing = asyncio.create_task(umpire.run())
    ranking = asyncio.create_task(_rank(umpire, standings))
    try:
        ready()
        done, _ = await asyncio.wait(
            {serving, playing, ranking}, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done:
            task.result()
    finally:
        web.should_exit = True
        for task in (playing, ranking):
            task.cancel()
        await asyncio.gather(serving, playing, ranking, return_exceptions=True)


async def _rank(umpire: Umpire, standings: Standings) -> None:
    while True:
        ended = asyncio.create_task(umpire.another_end())
        await standings.refresh()  # what ends meanwhile is not missed
        await ended


class Impatient(H11Protocol):
    """HTTP with whoever sends its requests, and takes its answers, in time; with nobody else, so
    that slow ones do not have all connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._expected = self.loop.call_later(REQUEST_TIMEOUT_S, self._request_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing any more."""
        self._expected.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._expected.cancel()
        self._expected = self.loop.call_later(REQUEST_TIMEOUT_S, self._request_is_late)

    def _request_is_late(self) -> None:
        if not self.cycle or self.cycle.response_complete:
            self.transport.close()
        else:
            self._expected = self.loop.call_later(ANSWER_TIMEOUT_S, self.transport.abort)


class _Web(uvicorn.Server):
    """The web server; signals are not its business."""

    def __init__(self, competition: Competition, site: Site) -> None:
        certificate, key = competition.tls or (None, None)
        super().__init__(
            uvicorn.Config(
                site.app(),
                http=Impatient,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # what strangers do wrong fills no disk
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                timeout_graceful_shutdown=2,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leaves them alone."""
        yield


@contextmanager
def _listening(competition: Competition) -> Generator[socket.socket]:
    """The socket of the web server. BadCompetition where the address cannot be had."""
    host, _, port = competition.serve.http.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        door = socket.create_server((host, int(port)), family=family)
    except (OSError, OverflowError) as error:
        raise BadCompetition(
            f"{competition.file}: serve.http is {competition.serve.http!r}, where it cannot listen "
            f"({error}); choose another, port 0 is any free one"
        ) from None
    with door:
        yield door


def _name(door: socket.socket) -> str:
    host, port = door.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _start_server(programs: Programs, competition: Competition) -> tuple[Program, str]:
    """The gRPC server, and where it listens."""
    serve = competition.serve
    words = ["--tokens", str(competition.tokens)]
    if competition.tls:
        certificate, key = competition.tls
        words += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    words += ["--insecure"] if serve.insecure else []
    words += ["--llm"] if serve.llm else []
    for url in serve.llm_urls:
        words += ["--llm-url", url]
    server = await programs.start(
        "server", find_program("recarena"), "serve", "--listen", serve.listen,
        "--runs", str(competition.runs), *words, "--json",
    )  # fmt: skip
    ready = await server.json_line(READY_TIMEOUT_S)
    if ready.get("event") != "serving" or not ready.get("address"):
        raise ProgramDied(server, f"said {ready} instead of where it serves")
    return server, str(ready["address"])


def _at_home(address: str) -> str:
    """The address as programs on this machine reach it."""
    host, _, port = address.rpartition(":")
    return f"{ANYWHERE.get(host, host)}:{port}"


def _access(competition: Competition, address: str, token: str) -> Access:
    ca = competition.beside(competition.serve.tls_ca) if competition.serve.tls_ca else None
    if not competition.tls:
        return Access(_at_home(address), token)
    return Access(_at_home(address), token, ca, tls=True)


async def _check_settings(competition: Competition, world: Path, channel: grpc.aio.Channel) -> None:
    """BadCompetition where the server would refuse a run of this world with these settings."""
    run = Run(
        world=str(world), round_limit=competition.worlds.rounds,
        arms=[Arm(arm_id="check", recommender_id="check")],
    )  # fmt: skip
    run.settings.update(sendable(dict(competition.run_settings)))
    control = SimulationControlServiceStub(channel)
    try:
        await control.CreateRun(
            CreateRunRequest(run=run, validate_only=True), timeout=CALL_TIMEOUT_S
        )
    except grpc.aio.AioRpcError as error:
        details = (error.details() or error.code().name).replace("run.settings.", "settings.")
        raise BadCompetition(f"{competition.file}: {details}") from None


async def _start_baselines(
    programs: Programs, season: Season, address: str, tokens: Mapping[str, str]
) -> None:
    """Queues baselines that were not yet, and starts those that have something left to play."""
    competition, ledger = season.competition, season.ledger
    for reference in competition.baselines:
        name = f"{BASELINE}{reference}"
        mine = [one for one in ledger if one.recommender == name]
        if not mine or mine[-1].status not in (
            Status.QUEUED, Status.PLAYING, Status.FINISHED,
        ):  # fmt: skip
            mine.append(ledger.submit(name, "", HIDDEN, baseline=True))
        if mine[-1].status.is_open:
            await programs.start_silent(
                name, find_program(REFERENCE), reference, "--id", name,
                "--server", _at_home(address), *_trust(competition),
                environment={"RECARENA_TOKEN": tokens[name]},
            )  # fmt: skip


def _trust(competition: Competition) -> Sequence[str]:
    if not competition.tls:
        return ()
    ca = competition.serve.tls_ca
    return ("--tls-ca", str(competition.beside(ca))) if ca else ("--tls",)
