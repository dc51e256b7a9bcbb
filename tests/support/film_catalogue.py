"""The films that generated worlds are made of, as a recommender gets them; and what people who do
not know a title might type, each with the film that is meant."""

from __future__ import annotations

from functools import cache

from recarena.server.datasets.specs import open_world
from recarena.v1.types_pb2 import Item

DESCRIBED = {
    "The Kid": "homeless man brings up a foundling",
    "Nanook of the North": "arctic eskimo family documentary hunting",
    "Sherlock Jr.": "projectionist falls asleep and becomes a detective inside the film",
    "All Quiet on the Western Front": "young german soldiers in the first world war trenches",
    "Duck Soup": "satire about leader of small country going to war",
    "The 39 Steps": "man wrongly accused of murder runs to scotland spies",
    "Casablanca": "nightclub owner morocco former lover refugees",
    "The Big Sleep": "private eye investigates blackmail of general's daughters",
    "Late Spring": "father wants daughter to get married japan",
    "North by Northwest": "advertising executive mistaken for a spy chased",
    "The Great Escape": "prisoners of war dig a tunnel out of a camp",
    "The Sound of Music": "nun becomes nanny of children in austria musical",
    "Bonnie and Clyde": "couple robbing banks in the great depression",
    "Planet of the Apes": "astronaut lands on planet ruled by monkeys",
    "Easy Rider": "motorcycle riders travel across america drugs",
    "Solaris": "space station psychologist sees his dead wife again",
    "The Conversation": "man who records conversations fears a murder",
    "Picnic at Hanging Rock": "girls from a school vanish in australia picnic",
    "Invasion of the Body Snatchers": "people replaced by duplicates in san francisco",
    "Airplane!": "spoof where passengers get food poisoning and ex pilot lands the plane",
    "An American Werewolf in London": "tourist bitten by a wolf in england",
    "Das Boot": "submarine crew in the atlantic second world war",
    "Castle in the Sky": "flying island pirates crystal girl",
    "RoboCop": "cop killed and turned into a cyborg",
    "The Last Emperor": "chinese emperor childhood in the palace revolution",
    "Die Hard": "cop fights terrorists in a tower hostages",
    "Goodfellas": "mafia gangster rise and fall brooklyn",
    "Aladdin": "genie in a lamp grants wishes to thief",
    "The Nightmare Before Christmas": "skeleton wants to replace santa claus christmas",
    "Clueless": "rich teenager in beverly hills makes over classmate",
    "Titanic": "love on a sinking ship rich girl poor artist",
    "The Truman Show": "man discovers his life is a tv show",
    "Lagaan": "villagers play cricket against british to avoid taxes",
    "Finding Nemo": "fish looks for his lost son in the ocean",
    "Eternal Sunshine of the Spotless Mind": "couple erase memories of each other",
    "Departures": "cellist loses job and works with funerals in japan",
    "3 Idiots": "friends look for lost college friend engineering india",
    "I Am Not a Witch": "girl accused of being a witch in zambia",
    "Shoplifters": "family of thieves adopts a girl tokyo",
    "Portrait of a Lady on Fire": "painter paints bride in secret on an island",
}
"""Written by hand before the search was measured with them; "Invasion …" is the one of 1978."""


@cache
def films() -> tuple[Item, ...]:
    """The whole catalogue. Not to be changed."""
    catalog = open_world("new:users=20,seed=1").catalog
    found: list[Item] = []
    for number, item_id in enumerate(catalog.item_ids):
        item = Item(
            item_id=item_id,
            title=catalog.titles[number],
            description=catalog.descriptions[number],
            categories=catalog.genres_of(number),
        )
        item.attributes["director"] = catalog.directors[number]
        item.attributes["year"] = int(catalog.years[number])
        found.append(item)
    return tuple(found)
