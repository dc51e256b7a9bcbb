"""From the command line to the options of one recommender, and of the one behind it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from recarena.recommenders.model_options import (
    Unusable,
    WrongOption,
    embedder_choice,
    model_choice,
)
from recarena.recommenders.roster import ROSTER, Entry, Options

if TYPE_CHECKING:
    from recarena.recommenders.state import StateFolder


def chosen(given: argparse.Namespace, entry: Entry, environ: Mapping[str, str]) -> Options:
    """What the command line says to this recommender; what it does not take is not looked at.

    Raises:
        WrongOption: a value means nothing, or one that is needed is missing.
        Unusable: a key, a package or the folder of --state is not there to be used.
    """
    options = Options(seed=given.seed, world=given.world, state=kept(given, entry))
    if "model" in entry.takes:
        return with_model(options, given, environ)
    return complete(options, given, entry, environ, "")


def kept(given: argparse.Namespace, entry: Entry) -> StateFolder | None:
    """The folder of --state, this process's alone. Errors as of `chosen`."""
    if given.state is None:
        return None
    if given.sessions > 1:
        raise WrongOption("--state needs --sessions 1: what runs teach is kept one after the other")
    from recarena.recommenders.state import StateError, StateFolder

    name = given.name
    if "first_stage" in entry.takes:
        name = f"{name} of {given.first_stage}"
    try:
        return StateFolder(given.state, name, given.id or given.name)
    except StateError as error:
        raise Unusable(str(error)) from None


def complete(
    options: Options, given: argparse.Namespace, entry: Entry, environ: Mapping[str, str], who: str
) -> Options:
    """The options of a recommender that asks no language model; `who` begins an error's text."""
    if "embedder" in entry.takes:
        options = replace(options, embedder=embedder_choice(given, environ))
    for option in entry.missing(options):
        raise WrongOption(f"{who or given.name} needs --{option}")
    return options


def with_model(options: Options, given: argparse.Namespace, environ: Mapping[str, str]) -> Options:
    """The options of llm-rerank, its first stage ready to be made."""
    from recarena.recommenders.llm_budget import Budget

    model = model_choice(given, environ)
    if model is None:
        raise WrongOption(f"{given.name} needs --model PROVIDER:MODEL")
    name = given.first_stage
    possible = [one for one, entry in ROSTER.items() if "model" not in entry.takes]
    if name not in possible:
        raise WrongOption(f"--first-stage {name}: it is one of {', '.join(possible)}")
    first = ROSTER[name]
    options = complete(options, given, first, environ, f"--first-stage {name}")
    return replace(options, model=model, budget=Budget(model), first_stage=first.factory(options))
