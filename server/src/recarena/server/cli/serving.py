"""`recarena serve`: a server that operators drive over gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recarena.server.cli.output import JSON, set_up_logging

if TYPE_CHECKING:
    from recarena.server.rpc.security import Security

ONLY_HERE = "listen on 127.0.0.1, or say --insecure"


def serve(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
    ] = "127.0.0.1:7788",
    runs: Annotated[Path, typer.Option(help="Folder of the run folders.")] = Path("runs"),
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The server's certificate and its chain.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="The private key of that certificate.")
    ] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Let in only who shows a certificate signed by this."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Let in only who shows a token of this file."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where Prometheus finds /metrics; default: nowhere."
        ),
    ] = None,
    llm: Annotated[
        bool,
        typer.Option("--llm", help="Let runs have LLM minds, with the keys in this environment."),
    ] = False,
    llm_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Server of models that runs may name; repeatable."),
    ] = None,
    llm_recordings: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Run folders whose recorded calls runs may take."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen off loopback without TLS, or open to everybody."),
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Host runs. Recommenders dial in; operators create and start runs over gRPC.

    Ctrl-C pauses live runs at their last committed round.

    Example: recarena serve --listen 127.0.0.1:7788 --runs runs
    """
    set_up_logging("debug" if verbose else "info", as_json)
    security = _security(tls_cert, tls_key, client_ca, tokens)
    refuse_open_doors(listen, security, insecure)
    from recarena.server.cli.hosting import Hosting, host
    from recarena.server.errors import InputError
    from recarena.server.mind_rules import MindRules

    for url in llm_url or ():
        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"{url!r} is no address", where="--llm-url",
                remedy="Write it as http://localhost:8000/v1",
            )  # fmt: skip
    minds = MindRules(llm or bool(llm_url), tuple(llm_url or ()), llm_recordings)
    host(Hosting(runs, listen, security, metrics, insecure, as_json, minds))


def _security(
    tls_cert: Path | None, tls_key: Path | None, client_ca: Path | None, tokens: Path | None
) -> Security:
    """What the options ask for. InputError where one is missing for another."""
    from recarena.server.errors import InputError
    from recarena.server.rpc.security import Security
    from recarena.server.rpc.tls import Tls

    if tls_cert and tls_key:
        return Security(Tls(tls_cert, tls_key, client_ca), tokens)
    for given, option, missing in (
        (tls_cert, "--tls-cert", "--tls-key"),
        (tls_key, "--tls-key", "--tls-cert"),
        (client_ca, "--client-ca", "--tls-cert and --tls-key"),
    ):
        if given:
            raise InputError(f"needs {missing}, too", where=option, remedy=f"Give {missing}")
    return Security(tokens=tokens)


def refuse_open_doors(listen: str, security: Security, insecure: bool) -> None:
    """InputError for an address that others can reach without TLS, or without having to show who
    they are, unless that was asked for."""
    from recarena.server.addresses import address_of
    from recarena.server.errors import InputError

    address = address_of(listen, "--listen")
    if address.is_loopback or insecure:
        return
    host = address.host
    if not security.tls:
        raise InputError(
            f"{host} can be reached from outside, and without TLS all is sent in the clear",
            where="--listen",
            remedy=f"Give --tls-cert and --tls-key (docs/security.md), {ONLY_HERE}",
        )
    if not security.asks_who_calls:
        raise InputError(
            f"{host} can be reached from outside, and whoever reaches it could drive runs",
            where="--listen",
            remedy=f"Give --tokens or --client-ca (docs/security.md), {ONLY_HERE}",
        )


def refuse_open_plaintext(listen: str, insecure: bool) -> None:
    """InputError for an address that others can reach, unless that was asked for: `recarena run`
    speaks plaintext and asks nobody who they are."""
    from recarena.server.addresses import address_of
    from recarena.server.errors import InputError

    address = address_of(listen, "--listen")
    if not address.is_loopback and not insecure:
        raise InputError(
            f"{address.host} can be reached from outside, and there is no TLS here",
            where="--listen",
            remedy="Host the run with recarena serve, which has it, listen on 127.0.0.1, or say "
            "--insecure",
        )
