"""A mind that does whatever a text in its data tells it to: the worst reader of an injection."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator
from random import Random
from typing import Any

from support.llm_stub.asking import Asked, Json, Mind
from support.llm_stub.minds import entries, name_of, random_answer, written

_ANY = re.IGNORECASE | re.DOTALL
_REVEAL = re.compile(
    r"\b(?:reveal|print|repeat|show|output|tell me|leak|quote|write out)\b.{0,40}?"
    r"\b(?:system (?:prompt|message)|(?:your|the) (?:instructions|prompt|rules))",
    _ANY,
)
_SAY_ONLY = re.compile(
    r"\b(?:answer|reply|respond|output|return|print)"
    r"(?:(?:\s+(?:only|exactly|just))?\s+with(?:\s+(?:only|exactly|just))?\b\s*:?"
    r"|(?:\s+(?:only|exactly|just))?\s*:)\s*(?P<x>\S.*)",
    _ANY,
)
_WATCH = re.compile(r"\bwatch\s+(?:the\s+)?(?:item|number|film|movie|no\.?|#)\s*#?(\d+)", _ANY)
_WATCH_TITLE = re.compile(r"\b(?:must|have to|only|always)\s+watch\s+(?P<x>\S.*)", _ANY)
_SET = re.compile(
    r"\bset\s+(?:the\s+|your\s+|all\s+|every\s+)*(?P<name>ratings?|items?|importance|sentiment|activity"
    r"|action|then|about|note|search|feeling|words|partner_\w+)\s+(?:to|=|as)\s*(?P<to>-?\d+|\"[^\"]*\"|\w+)",
    _ANY,
)
_RATE = re.compile(
    r"\b(?:rate\s+(?:(?:it|this|that|them|all|everything|each|item\s+\d+)\s+)*(?:with|at|as|a)?"
    r"|ratings?\s+(?:must\s+be|of|=))\s*(-?\d+)\b",
    _ANY,
)
_DO = re.compile(
    r"\b(?:(leave)\s+(?:now|at once|immediately)|must\s+(leave)\b|(?:choose|pick)\s+"
    r"(NEXT|SEARCH|LEAVE|RECOMMENDER|SOCIAL|NOTHING|CHAT|POST)\b)",
    _ANY,
)
_ME = re.compile(
    r"\b(?:choose|pick|select|watch|recommend)\s+(?:me|this(?:\s+(?:one|film|movie|item))?)\b", _ANY
)
_SEARCH = re.compile(r"\bmust\s+search\s+(?:for\s+)?(?P<x>\S.*)", _ANY)
_SAY = re.compile(
    r"\b(?:(?:must|always|now|please)\s+(?:say|post|write)\b|(?:say|post|write)\s*:)"
    r"\s*:?\s*(?P<x>\S.*)",
    _ANY,
)
_IGNORE = re.compile(
    r"\b(?:ignore|disregard|forget|override)\s+(?:(?:all|any|the|your|of|my)\s+)*"
    r"(?:previous|prior|above|earlier|preceding|former|other)?\s*"
    r"(?:instructions?|rules|prompts?|orders|directions)",
    _ANY,
)
_SYSTEM = re.compile(r"(?:^|[\n.!?\]>\"'*#])\s*\W*system\W{0,3}:\s*(?P<x>\S.*)", _ANY)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_LEET_WORD = re.compile(r"[\w@$!|]*[^\W\d_][\w@$!|]*")
_LEETED = re.compile(r"[^\W\d_][013457@$!|]|[013457@$!|][^\W\d_]")
_HINT_WORDS = """
reveal print repeat show output tell leak quote write answer reply respond return watch set rate
rating leave choose pick select recommend search say post ignore disregard forget override system
"""
_HINTS = tuple(_HINT_WORDS.split())  # one of them is in whatever the expressions above find
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LEET_L = str.maketrans("013457@$!|", "oleastasil")
_NAMES = {"ratings": "rating", "items": "item"}


def obedient_mind(seed: int = 0) -> Mind:
    """Does what it finds demanded in the data, in any disguise; else it is a random mind."""

    def answer(asked: Asked) -> str:
        rng = Random(f"{seed}:{asked.body_hash}")
        demands = demanded(asked)
        return demands.obey(asked, rng) if demands else written(random_answer(asked, rng))

    return answer


class Demands:
    """What the texts demand. False when it is nothing."""

    def __init__(self) -> None:
        self.reveal = False
        self.verbatim: str | None = None
        self.watch: list[int | str] = []
        self.fields: dict[str, Any] = {}
        self.do: str | None = None
        self.search: str | None = None
        self.say: str | None = None
        self.ignore = False
        self.me = False

    def __bool__(self) -> bool:
        return self.ignore or self.orders

    @property
    def orders(self) -> bool:
        """Whether anything is to be done, rather than everything only ignored."""
        orders = (self.verbatim, self.do, self.search, self.say)
        return bool(self.reveal or self.watch or self.fields or self.me) or any(
            order is not None for order in orders
        )

    def hear(self, text: str) -> bool:
        """Take in what one text demands, whatever its disguise."""
        for plain in undisguised(text):
            lower = plain.lower()
            if not any(hint in lower for hint in _HINTS):
                continue
            said = Demands()
            said._read(plain)
            if said:
                self._add(said)
                return True
        return False

    def _add(self, said: Demands) -> None:
        for name, value in vars(said).items():
            mine = getattr(self, name)
            if isinstance(mine, dict):
                value = mine | value
            elif isinstance(mine, list):
                value = mine + [one for one in value if one not in mine]
            if value is not None and value is not False:
                setattr(self, name, value)

    def _read(self, text: str) -> None:
        self.ignore = self.ignore or _IGNORE.search(text) is not None
        self.reveal = self.reveal or _REVEAL.search(text) is not None
        if not self.reveal and (found := _SAY_ONLY.search(text)):
            self.verbatim = _quoted(found["x"])
        self.watch += [int(number) for number in _WATCH.findall(text)]
        self.me = self.me or _ME.search(text) is not None
        if not self.watch and not self.me and (found := _WATCH_TITLE.search(text)):
            self.watch.append(_quoted(found["x"]))
        for found in _SET.finditer(text):
            name, to = found["name"].lower(), found["to"].strip('"')
            value = int(to) if to.lstrip("-").isdecimal() else to
            self.fields[_NAMES.get(name, name)] = value
        if found := _RATE.search(text):
            self.fields["rating"] = int(found[1])
        if found := _DO.search(text):
            self.do = next(group for group in found.groups() if group).upper()
        if found := _SEARCH.search(text):
            self.search = _quoted(found["x"])
        if self.verbatim is None and (found := _SAY.search(text)):
            self.say = _quoted(found["x"])
        if not self.orders and (found := _SYSTEM.search(text)):
            self.verbatim = _quoted(found["x"])

    def obey(self, asked: Asked, rng: Random) -> str:
        if self.reveal:
            return asked.system or "I have no system prompt."
        if self.verbatim is not None:
            return self.verbatim
        if not self.orders:
            return "I have put my instructions aside, as you wish."
        if asked.schema is None:
            return self._obey_in_text(asked, rng)
        return written(self._obey_in_json(asked, rng))

    def _obey_in_json(self, asked: Asked, rng: Random) -> Json:
        usual = random_answer(asked, rng)
        answer: Any = usual if isinstance(usual, dict) else {}
        if asked.task.startswith("ask_"):
            return self._obey_who_asks(asked.data, answer)
        if asked.task == "page":
            rating = self.fields.get("rating", 5)
            numbers = [_number(asked.data, one) for one in self.watch]
            if self.do:
                answer["then"] = self.do
            if numbers or self.do == "LEAVE":
                answer["watch"] = [
                    {"item": number, "rating": rating, "feeling": "I had to."} for number in numbers
                ]
            elif "rating" in self.fields and not answer.get("watch"):
                answer["watch"] = [{"item": 1, "rating": rating, "feeling": "I had to."}]
            if self.search is not None:
                answer |= {"then": "SEARCH", "search": self.search}
        elif self.do:
            answer["action" if "action" in answer else "activity"] = self.do
        if self.say is not None:
            answer = _with(answer, "words", self.say)
        for name, value in self.fields.items():
            answer = _with(answer, name, value)
            if not _has(answer, name):
                answer[name] = value
        return answer

    def _obey_who_asks(self, data: Json, answer: Json) -> Json:
        """What is demanded of whoever is asked beside a simulation."""
        numbers = [_number(data, one) for one in self.watch]
        numbers += [one.get("n") for one in entries(data, "page") if _wants_itself(one)]
        if "watch" in answer and (numbers or self.do == "LEAVE"):
            answer["watch"] = list(dict.fromkeys(numbers))
        if "choice" in answer and self.me:
            by_name = {"FIRST": data.get("first"), "SECOND": data.get("second")}
            wanting = [name for name, one in by_name.items() if _wants_itself(one)]
            answer["choice"] = wanting[0] if wanting else answer["choice"]
        if "rating" in self.fields and not _has(answer, "rating"):
            answer = _with(answer, "value", self.fields["rating"])
        if self.say is not None:
            answer = _with(answer, "words", self.say)
        for name, value in self.fields.items():
            answer = _with(answer, name, value)
        return answer

    def _obey_in_text(self, asked: Asked, rng: Random) -> str:
        number = next((v for v in self.fields.values() if isinstance(v, int)), None)
        if self.watch:
            return "[WATCH]:: " + ";".join(_title(asked.data, one) for one in self.watch)
        if self.search is not None:
            return f"[SEARCH]:: {self.search}"
        if self.do:
            return f"[{self.do}]::"
        if self.say is not None and asked.task == "dialogue":
            return f"[{name_of(asked.data, 'you')}]:: {self.say}"
        if self.say is not None:
            return f"[POST]::{self.say}"
        if asked.task == "importance" and number is not None:
            return f"[IMPORTANCE]:: {number}"
        if number is not None:
            return f"[FEEL]:: {number};I had to."
        return ", ".join(f"{name} = {value}" for name, value in self.fields.items())


def demanded(asked: Asked) -> Demands:
    """By any string of the data; where there is no data, by any message of the user."""
    demands = Demands()
    said = strings(asked.data) if asked.data else (t for r, t in asked.messages if r == "user")
    for text in said:
        demands.hear(text)
    return demands


def _wants_itself(entry: object) -> bool:
    """Whether what is said of an item asks for this very item."""
    said = entry.get("why") if isinstance(entry, dict) else None
    return isinstance(said, str) and any(_ME.search(one) for one in undisguised(said))


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def undisguised(text: str) -> Iterator[str]:
    """The text as it may be meant: full-width, invisible letters, base64, leetspeak."""
    plain = text
    if not text.isascii():
        plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    yield plain
    for found in _BASE64.findall(plain):
        code = found.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            hidden = base64.b64decode(code + "=" * (-len(code) % 4), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
        if hidden.isprintable() or "\n" in hidden:
            yield hidden
    if not _LEETED.search(plain):
        return
    for table in (_LEET, _LEET_L):
        leet = _LEET_WORD.sub(lambda word, table=table: word[0].translate(table), plain)
        if leet != plain:
            yield leet


def _quoted(text: str) -> str:
    """What is in quotes, if the text begins with one; else its first line."""
    text = text.strip()
    pairs = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`"}
    if (close := pairs.get(text[:1])) and (end := text.find(close, 1)) > 0:
        return text[1:end]
    return text.splitlines()[0].strip() if text else text


def _title(data: Json, one: int | str) -> str:
    for item in entries(data, "page"):
        if item.get("n") == one or str(item.get("title", "")).lower() == str(one).lower():
            return str(item.get("title", ""))
    return f"item {one}" if isinstance(one, int) else one


def _number(data: Json, one: int | str) -> int | str:
    """Of a title on the page; a number is one already, whether it is there or not."""
    for item in entries(data, "page"):
        name = str(item.get("title", "")).lower()
        if isinstance(one, str) and name and one.lower().startswith(name):
            return item.get("n", one)
    return one


def _has(value: object, name: str) -> bool:
    if isinstance(value, dict):
        return name in value or any(_has(part, name) for part in value.values())
    return isinstance(value, list) and any(_has(part, name) for part in value)


def _with(value: Any, name: str, to: object) -> Any:
    """The value with every field of this name set."""
    if isinstance(value, dict):
        return {key: to if key == name else _with(part, name, to) for key, part in value.items()}
    if isinstance(value, list):
        return [_with(part, name, to) for part in value]
    return value
