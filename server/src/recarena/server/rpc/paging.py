"""Lists in pages. A page token is the position to go on from."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from recarena.server.errors import InputError


class Paged(Protocol):
    """A request for one page of a list."""

    @property
    def page_size(self) -> int:
        """See the contract."""
        ...

    @property
    def page_token(self) -> str:
        """See the contract."""
        ...


class Sizes(NamedTuple):
    """Entries of a page: where none are asked for, and at most."""

    default: int
    most: int

    def of(self, asked: Paged) -> int:
        """Entries of the page that is asked for: the default where none or nonsense is."""
        return min(asked.page_size, self.most) if asked.page_size > 0 else self.default


def position(asked: Paged, last: int, first: int = 0) -> int:
    """The position that a page begins with, `first` without a token. InputError for a token that
    is no position up to `last`."""
    if not asked.page_token:
        return first
    token = asked.page_token
    found = int(token) if token.isascii() and token.isdecimal() and len(token) < 10 else -1
    if not 0 <= found <= last:
        raise InputError(
            f"{token[:64]!r} is no token of this list",
            where="page_token",
            remedy="Take the one that came with the page before, or start again without one",
        )
    return found


def page(asked: Paged, size: int, sizes: Sizes) -> tuple[list[int], str]:
    """Rows of a page of a list of `size`, and the token of the next; "" when there is none."""
    first = position(asked, size)
    last = min(first + sizes.of(asked), size)
    return list(range(first, last)), str(last) if last < size else ""
