"""Words and titles in a normal form, so that people find what they mean."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

ARTICLES = "the|an?|les?|la|los|las|l|il|lo|el|der|die|das|den|det|une?|eine?"
LEADING_ARTICLE = re.compile(r"^(?:the|an?) ")
TRAILING_ARTICLE = re.compile(rf"(.+), ({ARTICLES})'?", re.IGNORECASE)
YEAR_AT_END = re.compile(r"\s*\(\s*((?:18|19|20)\d\d)\s*\)\s*|\s+((?:18|19|20)\d\d)\s*")
IN_BRACKETS = re.compile(r"\(([^()]*)\)")
ALSO_KNOWN = re.compile(r"^\s*a\.?k\.?a\.?\s+", re.IGNORECASE)
NOT_A_WORD = re.compile(r"[\W_]+")


def words(text: str) -> str:
    """Lower case, without accents, apostrophes and punctuation, one space between words."""
    folded = unicodedata.normalize("NFKD", text.replace("&", " and ")).casefold()
    plain = "".join(one for one in folded if not unicodedata.combining(one))
    return NOT_A_WORD.sub(" ", re.sub(r"['’`´]", "", plain)).strip()


def key(title: str) -> str:
    """What titles are compared by: words without article or spaces. `The Lion King`, `lion king`
    and `Lion King, The` have the same; empty where the title has no letter or digit."""
    moved = TRAILING_ARTICLE.fullmatch(title.strip())
    if moved:
        title = f"{moved[2]} {moved[1]}"
    return LEADING_ARTICLE.sub("", words(title), count=1).replace(" ", "")


@dataclass(frozen=True, slots=True)
class Titled:
    """A title, or words that may be one, with the year that stood at its end."""

    text: str
    year: int
    """0 where there is none."""

    @classmethod
    def of(cls, text: str) -> Titled:
        """Takes `(1994)` or ` 1994` off the end; a text that is a year and nothing else stays."""
        for match in YEAR_AT_END.finditer(text):
            if match.end() == len(text) and text[: match.start()].strip():
                return cls(text[: match.start()], int(match[1] or match[2]))
        return cls(text.strip(), 0)


def title_keys(title: str) -> set[str]:
    """Keys under which a title is looked for: as it stands, without its year, and each of the
    further titles it holds in brackets (`Seven (Se7en)`, `Postman, The (Postino, Il)`)."""
    bare = YEAR_AT_END.sub("", title) if title.rstrip().endswith(")") else title
    found = {key(title), key(bare), key(IN_BRACKETS.sub(" ", bare))}
    found.update(key(ALSO_KNOWN.sub("", other)) for other in IN_BRACKETS.findall(bare))
    return found - {""}
