"""Interventions as sentences: what changes, and nothing of who asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recarena.server.catalog import Catalog
from recarena.server.interventions import Intervention
from recarena.server.population import Population
from recarena.server.types import NOTHING, InterventionKind
from recarena.server.wording import spoken_title

MOST_WORDS = 160
"""Characters of a quotation; what is longer is cut."""
_NOTHING_COMES: Mapping[int, str] = {}


def sentence(
    one: Intervention,
    catalog: Catalog,
    population: Population,
    coming: Mapping[int, str] = _NOTHING_COMES,
) -> str:
    """One intervention. `coming`: titles of items that are not in the catalogue yet."""
    values, who = one.values, population.names[one.user] if one.user >= 0 else ""
    match one.kind:
        case InterventionKind.EDIT_PROFILE:
            return _edited(population.user_ids[one.user], who, values)
        case InterventionKind.SET_RELATION:
            other = _name(population, values["other_user_id"])
            kind = f"a tie as {values['kind']}" if values["kind"] else "a tie"
            between = _between(who, other, values)
            return f"Somebody sets {kind} {between}, closeness {values['closeness']:.2g}."
        case InterventionKind.REMOVE_RELATION:
            other = _name(population, values["other_user_id"])
            return f"Somebody ends the tie {_between(who, other, values)}."
        case InterventionKind.ADD_ITEM:
            item = values["item"]
            genres = f" ({', '.join(item['categories'])})" if item["categories"] else ""
            return f"An item is added: {spoken_title(item['title'])}{genres}."
        case InterventionKind.WITHDRAW_ITEM:
            return f"An item is withdrawn: {_title(one.item, catalog, coming)}."
        case InterventionKind.INJECT_POST:
            about = ""
            if one.item != NOTHING:
                about = f" about {_title(one.item, catalog, coming)}"
            return f"Somebody posts{about} in the name of {who}: “{_cut(values['text'])}”"
        case InterventionKind.TELL_USER:
            answer = f" {who}: “{_cut(values['answer'])}”" if values["answer"] else ""
            return f"Somebody says to {who}: “{_cut(values['said'])}”{answer}"
        case InterventionKind.TAKE_OVER:
            return f"A person plays {who} from now on, {values['turn_time_s']:g} s a turn."
        case InterventionKind.HAND_BACK:
            return f"{who} is handed back: {who}'s own mind decides again."


def _edited(user_id: str, who: str, values: Mapping[str, Any]) -> str:
    """What a user is given, part by part."""
    profile, traits, tastes = values["profile"], values["traits"], values["tastes"]
    parts = [f"the name {values['name']}"] if values["name"] else []
    if profile:
        told = (f"{name} “{_cut(one)}”" for name, one in profile.items())
        parts.append(f"another profile: {', '.join(told)}")
    if traits:
        named = (f"{name.replace('_', ' ')} {one:g}" for name, one in traits.items())
        parts.append(f"other traits: {', '.join(named)}")
    if tastes:
        parts.append(
            f"other tastes: {', '.join(f'{name} {one:g}' for name, one in tastes.items())}"
        )
    given = "; ".join(parts)
    return f"Somebody gives {user_id if values['name'] else who} {given}."


def _between(who: str, other: str, values: Mapping[str, Any]) -> str:
    return f"between {who} and {other}" if values["both_ways"] else f"from {who} to {other}"


def _name(population: Population, user_id: str) -> str:
    return population.names[population.number_of[user_id]]


def _title(item: int, catalog: Catalog, coming: Mapping[int, str]) -> str:
    title = catalog.titles[item] if item < len(catalog) else coming.get(item, "an item to come")
    return spoken_title(title)


def _cut(words: str) -> str:
    """Words on one line, the end left out where they are long."""
    line = " ".join(words.split())
    return line if len(line) <= MOST_WORDS else f"{line[: MOST_WORDS - 1].rstrip()}…"
