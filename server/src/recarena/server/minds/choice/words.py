"""Words of the choice mind: templates filled with the reason that really decided.

Made when somebody reads them, from the number that the event log keeps; always
`generated_by=template`.
"""

from __future__ import annotations

from recarena.server.minds.choice.feeling import decode, decode_talk

GENERATED_BY = "template"

_VERDICTS = (
    ("Not for me.", "I nearly gave up on it.", "What a let-down.", "I wanted my evening back."),
    ("It was all right.", "Fine, nothing more.", "It passed the time.", "I have seen better."),
    ("I liked it.", "That was good.", "Well worth it.", "A good evening."),
    ("I loved it!", "Wonderful.", "One of the best in a long time.", "I could watch it again."),
)

_REASONS = {
    "taste": (
        "I expected more of its {genre}.",
        "The {genre} side of it was only half there.",
        "It is my kind of {genre}.",
        "Just the {genre} I am after.",
    ),
    "quality": (
        "People praise it, I don't see why.",
        "It is well made, if a little cold.",
        "It is simply well made.",
        "Everything about it is well made.",
    ),
    "popularity": (
        "Everybody has seen it, and I wonder why.",
        "Everybody talks about it; now I can too.",
        "I see why everybody has seen it.",
        "Everybody was right about it.",
    ),
    "friend": (
        "My friends and I clearly differ.",
        "I watched it because of what I had heard.",
        "I am glad I listened to what I was told.",
        "I was told to watch it, and rightly so.",
    ),
    "novelty": (
        "I wanted a change, not this one.",
        "At least it was a change.",
        "A welcome change from what I usually watch.",
        "I should try something new more often.",
    ),
}
_ORDER = ("taste", "quality", "popularity", "friend", "novelty")

_POSTS = (
    ("Skip {title}.", "{title} did nothing for me.", "Don't bother with {title}.",
     "{title}: two hours I won't get back."),
    ("Watched {title}. It was all right.", "{title}: make up your own mind.",
     "So that was {title}.", "{title} - not bad, not great."),
    ("You should all watch {title}!", "{title} made my day.",
     "If you watch one thing, take {title}.", "Just saw {title}, and I can only recommend it."),
)  # fmt: skip

_HEARSAY_POSTS = (
    ("I hear {title} is not worth it.", "Nobody seems to like {title}."),
    ("Has anybody seen {title}?", "What is {title} like?"),
    ("Everybody tells me to watch {title}.", "I keep hearing good things about {title}."),
)

_OPENINGS = (
    ("I saw {title} and didn't like it.", "Don't waste your time on {title}."),
    ("I saw {title}. It was all right.", "Have you seen {title}? I am in two minds."),
    ("You have to see {title}!", "I saw {title} and it was great."),
)
_HEARSAY_OPENINGS = ("Have you heard of {title}?", "People keep mentioning {title}.")
_ANSWERS = (
    ("I read what you wrote about {title}. I didn't like it either.",
     "About {title}: I had the same trouble with it."),
    ("I read your post about {title}. Tell me more?", "Is {title} really like that?"),
    ("You are right about {title}!", "I read your post. {title} was great for me too."),
)  # fmt: skip
_REPLIES_SEEN = ("I have seen it.", "I know it, we should compare notes.")
_REPLIES_NEW = ("I haven't seen it.", "I'll keep it in mind.")
_SMALL_TALK = ("How have you been?", "Anything good on lately?")
_SMALL_REPLY = "Not much to report."


def feeling(code: int, genre_names: tuple[str, ...]) -> str:
    """What a user felt about something just watched."""
    known = decode(code)
    verdict = _VERDICTS[known.valence][known.variant]
    reason = _ORDER[known.reason]
    if reason == "taste" and known.genre < 0:
        return verdict
    genre = genre_names[known.genre].lower() if known.genre >= 0 else ""
    return f"{verdict} {_REASONS[reason][known.valence].format(genre=genre)}"


def post(code: int, title: str) -> str:
    """What a user posted about something."""
    talk = decode_talk(code)
    if talk.own:
        return _POSTS[talk.mood][talk.variant].format(title=title)
    return _HEARSAY_POSTS[talk.mood][talk.variant % 2].format(title=title)


def chat(code: int, title: str | None) -> tuple[str, str]:
    """What was said in a chat, and what the partner replied."""
    talk = decode_talk(code)
    half = talk.variant % 2
    if title is None:
        return _SMALL_TALK[half], _SMALL_REPLY
    if talk.answers:
        said = _ANSWERS[talk.mood][half]
    elif talk.own:
        said = _OPENINGS[talk.mood][half]
    else:
        said = _HEARSAY_OPENINGS[half]
    reply = (_REPLIES_SEEN if talk.partner_saw else _REPLIES_NEW)[talk.variant // 2]
    return said.format(title=title), reply


def is_answer(code: int) -> bool:
    """Whether a chat answers a post."""
    return decode_talk(code).answers
