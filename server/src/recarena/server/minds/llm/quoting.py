"""Text that somebody else wrote, made harmless before it is put into a prompt.

Titles, descriptions, explanations, posts, chats and profiles are data. They are cleaned here, and
marked with a mark of the call that their authors cannot know (spotlighting, Hines et al., 2024).
The real wall stands elsewhere: minds have no tools, and an answer is taken only in its form.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LIMITS = {
    "title": 120, "description": 200, "explanation": 240, "words": 400, "name": 60, "profile": 200,
    "memory": 240,
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


def clean(text: str, kind: str) -> str:
    """One line without hidden characters, role tags and delimiters, NFKC, no longer than its kind
    may be. Letters of all scripts stay as they are."""
    limit = LIMITS[kind]
    text = unicodedata.normalize("NFKC", text[: 8 * limit])
    text = _SPACE.sub(" ", text)
    text = "".join(
        char for char in text if unicodedata.category(char) not in _HIDDEN and not _selects(char)
    )
    text = unicodedata.normalize("NFKC", text)
    for pattern, put in _DELIMITERS:
        text = pattern.sub(put, text)
    text = _ROLE.sub(r"\1\2 -", text)
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _selects(char: str) -> bool:
    """Variation selectors can carry hidden text."""
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


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
