"""The routes of the observatory."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from recarena.observatory.arms import Arms
from recarena.observatory.chronicle import Chronicle, run_of, runs_of
from recarena.observatory.commands import Commands
from recarena.observatory.failures import Failure, bad, missing
from recarena.observatory.feed import MOST_LINES, lines_of
from recarena.observatory.frames import busiest
from recarena.observatory.guard import Doors, Guard
from recarena.observatory.library import Library
from recarena.observatory.live import Live
from recarena.observatory.messages import item_json, run_json
from recarena.observatory.persons import Person
from recarena.observatory.tales import MOST as MOST_EVENTS
from recarena.observatory.tales import Filter, Tales, place_of
from recarena.observatory.upstream import Upstream
from recarena.observatory.worlds import Encoded, Worlds, encoded
from recarena.v1 import simulation_observe_service_pb2 as observe_pb

STATIC = Path(__file__).with_name("static")
STALE_AFTER_S = 5
REVALIDATED = "private, no-cache"
"""Kept, but asked for again each time: after a reset the same address has other contents."""
PAGES = ("/", "/run/{run}", "/run/{run}/{rest:path}")
USERS_OF_A_FEED = 200
ITEMS_A_PAGE = 100
MOST_BODY_BYTES = 64 * 1024
Endpoint = Callable[[Request], Awaitable[Response]]


class Files(StaticFiles):
    """The page's files: kept by browsers, and asked for again."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """A file, with its ETag."""
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = REVALIDATED
        return answer

    async def get_response(self, path: str, scope: Scope) -> Response:
        """A file; nothing outside the folder."""
        return await super().get_response(path, scope)


class Site:
    """What is answered, over a server of runs."""

    def __init__(self, upstream: Upstream, *, read_only: bool) -> None:
        self.upstream = upstream
        self.why_not = "the observatory only shows: it was started with --read-only"
        """Why nothing can be changed from it; empty where everything can."""
        if not upstream.may_change:
            self.why_not = "the observatory's token may look only: it is an observer's"
        elif not read_only:
            self.why_not = ""
        self.library = Library(upstream)
        self.worlds = Worlds(upstream)
        self.live = Live(upstream, self.library)
        self.arms = Arms(upstream)
        self.commands = Commands(upstream, self.library)

    def app(self, doors: Doors) -> ASGIApp:
        """The ASGI application."""
        run = "/api/runs/{run}"
        routes = [
            *(Route(path, answering(self.page)) for path in PAGES),
            Route("/api/me", answering(self.me)),
            Route("/api/runs", answering(self.runs)),
            Route("/api/runs", answering(self.create), methods=["POST"]),
            Route(run, answering(self.run)),
            Route(f"{run}/commands", answering(self.command), methods=["POST"]),
            Route(f"{run}/world", answering(self.world)),
            Route(f"{run}/rounds", answering(self.rounds)),
            Route(f"{run}/at/{{round}}", answering(self.at)),
            Route(f"{run}/feed/{{round}}", answering(self.feed)),
            Route(f"{run}/interventions", answering(self.interventions)),
            Route(f"{run}/events", answering(self.events)),
            Route(f"{run}/events.jsonl", answering(self.download)),
            Route(f"{run}/arms", answering(self.standings)),
            Route(f"{run}/items", answering(self.items)),
            Route(f"{run}/u/{{user:path}}/memories", answering(self.memories)),
            Route(f"{run}/u/{{user:path}}/timeline", answering(self.timeline)),
            Route(f"{run}/u/{{user:path}}/calls", answering(self.calls)),
            Route(f"{run}/u/{{user:path}}", answering(self.person)),
            WebSocketRoute(f"{run}/live", self.live.endpoint),
            Mount("/static", Files(directory=STATIC, check_dir=False)),
        ]
        handlers: dict[Any, Any] = {404: _nothing, 405: _wrong_method, Exception: _broken}
        app = Starlette(routes=routes, exception_handlers=handlers)
        app.router.redirect_slashes = False
        return Guard(GZipMiddleware(app, minimum_size=2048), doors, self.why_not)

    # ------------------------------------------------------------------ pages and runs

    async def page(self, request: Request) -> Response:
        """index.html, whatever screen."""
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": REVALIDATED})

    async def me(self, request: Request) -> Response:
        """Who looks."""
        return JSONResponse({
            "role": "operator" if self.upstream.may_change else "observer",
            "read_only": bool(self.why_not),
            "server": self.upstream.address,
            "version": version("recarena-observatory"),
            "bundle": False,
            "stale_after_s": STALE_AFTER_S,
        })  # fmt: skip

    async def runs(self, request: Request) -> Response:
        """All runs."""
        return JSONResponse({"runs": [run_json(run) for run in await runs_of(self.upstream)]})

    async def run(self, request: Request) -> Response:
        """One run."""
        return JSONResponse(run_json(await run_of(self.upstream, request.path_params["run"])))

    # ------------------------------------------------------------------ the world and its rounds

    async def world(self, request: Request) -> Response:
        """Users, ties and places."""
        chronicle = await self.library.opened(request.path_params["run"])
        version = request.query_params.get("v", "")
        return unchanged_or(request, await self.worlds.world(chronicle, version))

    async def rounds(self, request: Request) -> Response:
        """All committed rounds."""
        chronicle = await self.library.read(request.path_params["run"])
        await chronicle.ask_for_interventions()
        value = {
            "epoch": chronicle.epoch,
            "rounds": chronicle.rounds,
            "interventions": chronicle.interventions,
        }
        return unchanged_or(request, encoded(value))

    async def at(self, request: Request) -> Response:
        """A keyframe."""
        chronicle, round = await self.chronicle_at(request, request.path_params["round"])
        return unchanged_or(request, encoded(chronicle.keyframe(round)))

    async def feed(self, request: Request) -> Response:
        """A round in words."""
        chronicle, round = await self.chronicle_at(request, request.path_params["round"])
        if not round:
            return JSONResponse({"lines": []})
        asked = request.query_params.get("users", "")
        if asked:
            users = [number(one, "users") for one in asked.split(",")]
            if len(users) > USERS_OF_A_FEED or max(users) >= len(chronicle.roster):
                raise bad("users", f"users are at most {USERS_OF_A_FEED} numbers of users")
        else:
            events = await chronicle.events_of(round)
            users = busiest(events, chronicle.actions(round), MOST_LINES).tolist()
        return JSONResponse({"lines": await lines_of(self.upstream, chronicle, round, users)})

    async def interventions(self, request: Request) -> Response:
        """What operators changed, newest first."""
        chronicle = await self.library.opened(request.path_params["run"])
        await chronicle.ask_for_interventions()
        return JSONResponse({"interventions": chronicle.interventions})

    # ------------------------------------------------------------------ events and arms

    async def events(self, request: Request) -> Response:
        """Events in words, newest first."""
        query = request.query_params
        chronicle, at = await self.chronicle_at(request, query.get("at"))
        only = Filter.of(query, chronicle)
        tales = Tales(self.upstream, chronicle, only)
        limit = number(query.get("limit") or "50", "limit")
        if not 0 < limit <= MOST_EVENTS:
            raise bad("limit", f"limit is 1 to {MOST_EVENTS}")
        before = place_of(query.get("before", ""), "before")
        after = place_of(query.get("after", ""), "after")
        found, next_place = await tales.page(at, before, after, limit)
        counts = await tales.counts(at)
        return JSONResponse({
            "events": found,
            "counts": counts,
            "total": tales.total(counts),
            "next": next_place,
            "at": at,
        })  # fmt: skip

    async def download(self, request: Request) -> Response:
        """The same as lines of JSON, all of them."""
        query = request.query_params
        chronicle, at = await self.chronicle_at(request, query.get("at"))
        tales = Tales(self.upstream, chronicle, Filter.of(query, chronicle))
        name = f"{chronicle.run.run_id}-events.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        lines = tales.lines(at)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    async def standings(self, request: Request) -> Response:
        """How arms compare."""
        query = request.query_params
        chronicle, at = await self.chronicle_at(request, query.get("at"))
        with_people = query.get("people", "") == "1"
        return JSONResponse(await self.arms.at(chronicle, at, with_people=with_people))

    async def items(self, request: Request) -> Response:
        """Items as they are now."""
        query = request.query_params
        asked = observe_pb.ListItemsRequest(
            run_id=request.path_params["run"], text=query.get("q", "")[:200],
            page_size=ITEMS_A_PAGE, page_token=query.get("before", ""),
        )  # fmt: skip
        answer = await self.upstream.ask(self.upstream.observe.ListItems, asked)
        entries = [item_json(entry) for entry in answer.entries]
        return JSONResponse({"items": entries, "next": answer.next_page_token})

    # ------------------------------------------------------------------ one user

    async def _person(self, request: Request) -> tuple[Chronicle, Person]:
        chronicle = await self.library.opened(request.path_params["run"])
        return chronicle, Person(self.upstream, chronicle, request.path_params["user"])

    async def person(self, request: Request) -> Response:
        """Who it is."""
        _, person = await self._person(request)
        return JSONResponse(await person.about())

    async def memories(self, request: Request) -> Response:
        """What it remembers."""
        _, person = await self._person(request)
        return JSONResponse(await person.memories())

    async def timeline(self, request: Request) -> Response:
        """What it did and met."""
        chronicle, person = await self._person(request)
        query = request.query_params
        at = number(query["at"], "at") if query.get("at") else chronicle.run.round
        return JSONResponse(await person.timeline(at, query.get("before", "")))

    async def calls(self, request: Request) -> Response:
        """What was asked of language models for it in a round."""
        _, person = await self._person(request)
        round = number(request.query_params.get("round", ""), "round")
        return JSONResponse(await person.calls(round))

    # ------------------------------------------------------------------ changing

    async def command(self, request: Request) -> Response:
        """Drives or steers a run."""
        run_id = request.path_params["run"]
        answer = await self.commands.run(run_id, await body_of(request, MOST_BODY_BYTES))
        if channel := self.live.channel(run_id):
            channel.look()
        return JSONResponse(answer)

    async def create(self, request: Request) -> Response:
        """A new run with the settings of another."""
        return JSONResponse(await self.commands.create(await body_of(request, MOST_BODY_BYTES)))

    async def chronicle_at(self, request: Request, round: str | None) -> tuple[Chronicle, int]:
        """The chronicle of the run in the path, and a committed round of it; without one the last.
        Failure for a round that is none."""
        chronicle = await self.library.read(request.path_params["run"])
        if round is None or round == "":
            return chronicle, chronicle.round
        asked = number(round, "round")
        if asked > chronicle.round:
            raise missing(f"round {asked} is not committed; the last is {chronicle.round}")
        return chronicle, asked


def number(text: str, name: str) -> int:
    """A number that is not negative. Failure for anything else."""
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise bad(name, f"{name} is a whole number, not {text[:40]!r}")
    return int(text)


def unchanged_or(request: Request, what: Encoded) -> Response:
    """JSON; 304 without it where the browser has it."""
    headers = {"ETag": what.etag, "Cache-Control": REVALIDATED}
    shown = {one.strip().removeprefix("W/") for one in
             request.headers.get("if-none-match", "").split(",")}  # fmt: skip
    if what.etag in shown:
        return Response(status_code=304, headers=headers)
    return Response(what.body, media_type="application/json", headers=headers)


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with failures as API.md has them."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Failure as failure:
            return JSONResponse(failure.as_json(), failure.status)

    return answer


async def body_of(request: Request, most: int) -> dict[str, Any]:
    """The JSON object of a POST. Failure for what is none, or too long."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise Failure(413, "INVALID_ARGUMENT", f"a request has at most {most:,} bytes")
    try:
        value = json.loads(body)
    except ValueError:
        raise bad("", "the body is no JSON") from None
    if not isinstance(value, dict):
        raise bad("", "the body is a JSON object")
    return value


async def _nothing(request: Request, error: Exception) -> Response:
    if request.method == "GET" and not request.url.path.startswith(("/api/", "/static/")):
        return FileResponse(STATIC / "index.html", 404)  # the page says it, and where to go on
    failure = missing(f"there is nothing at {request.url.path[:200]}")
    return JSONResponse(failure.as_json(), 404)


async def _wrong_method(request: Request, error: Exception) -> Response:
    failure = Failure(405, "INVALID_ARGUMENT", f"{request.method} is not for this address")
    return JSONResponse(failure.as_json(), 405)


async def _broken(request: Request, error: Exception) -> Response:
    failure = Failure(500, "INTERNAL", "the observatory made a mistake; its terminal says which")
    return JSONResponse(failure.as_json(), 500)
