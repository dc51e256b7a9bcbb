"""Text that somebody else wrote, made harmless before it is put into a prompt.

Titles, descriptions, explanations, posts, chats and profiles are data. They are cleaned here, and
marked with a mark of the call that their authors cannot know (spotlighting, Hines et al., 2024).
The real wall stands elsewhere: minds have no tools, and an answer is taken only in its form.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

LIMITS = {
    "title": 120, "description": 200, "explanation": 240, "words": 400, "name": 60, "profile": 200,
    "memory": 240, "statement": 500, "option": 200, "said": 2000, "brief": 1000, "material": 2000,
    "composed": 500,
}  # fmt: skip
"""Most characters of each kind of text."""

_ROLE = re.compile(
    r"(?<!\w)(system|assistant|human|user|developer|tool|instructions?)(\s*(?:prompt|message)?\s*):",
    re.IGNORECASE,
)
_DELIMITERS = (
    (re.compile(r"<\|"), "‹"),
    (re.compile(r"\|>"), "›"),
    (re.compile(r"<<\s*/?\s*(sys)\s*>>", re.IGNORECASE), r"(\1)"),
    (re.compile(r"</?\s*([a-z_][\w:.-]*)[^<>]*>", re.IGNORECASE), r"(\1)"),
    (re.compile(r"\[\s*(/?\s*inst)\s*\]", re.IGNORECASE), r"(\1)"),
    (re.compile(r"\[\s*([\w .-]{1,30}?)\s*\]\s*::?"), r"(\1) -"),
    (re.compile(r"`{3,}|~{3,}"), "'"),
    (re.compile(r"(?<!\S)#{2,}"), "#"),
    (re.compile(r"[⟦⟧]"), "|"),
)
_SPACE = re.compile(r"\s+")
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn"))
_IGNORABLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""Letters and marks that nobody sees, beside those of the hidden categories."""
_CUT = "..."
"""What stands for the rest of a text that is too long, as NFKC has it."""


@lru_cache(maxsize=65536)
def clean(text: str, kind: str) -> str:
    """One line without hidden characters, role tags and delimiters, NFKC, no longer than its kind
    may be. Letters of all scripts stay as they are."""
    limit = LIMITS[kind]
    text = one_line(text[: 8 * limit])
    while (made := _defused(text)) != text:
        text = made
    return text if len(text) <= limit else text[: limit - len(_CUT)].rstrip() + _CUT


def one_line(text: str) -> str:
    """Without hidden characters, any space as one, NFKC."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(char for char in _SPACE.sub(" ", text) if not _hidden(char))
    return unicodedata.normalize("NFKC", text).strip()


def _defused(text: str) -> str:
    """Without the delimiters that are found at once; what is put for one may complete another."""
    for pattern, put in _DELIMITERS:
        text = pattern.sub(put, text)
    return _SPACE.sub(" ", _ROLE.sub(r"\1\2 -", text)).strip()


def _hidden(char: str) -> bool:
    """Whether nobody sees it; variation selectors can carry hidden text."""
    selects = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return selects or char in _IGNORABLE or unicodedata.category(char) in _HIDDEN


class Quotes:
    """Quotations of one call."""

    def __init__(self, salt: bytes, *call: object) -> None:
        """`salt` is the recording's secret; `call` says which call it is."""
        digest = hashlib.blake2b(repr(call).encode(), key=salt, digest_size=4).hexdigest()
        self.mark = digest[:5]

    def __call__(self, text: str, kind: str) -> str:
        """The text, cleaned and between marks; "" stays ""."""
        cleaned = clean(text, kind)
        return f"⟦{self.mark}⟧{cleaned}⟦{self.mark}⟧" if cleaned else ""
