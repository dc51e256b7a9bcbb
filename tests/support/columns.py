"""Event and memory columns with arbitrary content, for Hypothesis, and their comparison."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from recarena.server.types import (
    EVENT_COLUMNS,
    MEMORY_COLUMNS,
    EventColumns,
    MemoryColumns,
    MemoryKind,
)


def arrays(dtype: type[np.generic], size: int) -> st.SearchStrategy[np.ndarray]:
    """Any bits: also NaN, infinities and -0.0."""
    width = size * np.dtype(dtype).itemsize
    return st.binary(min_size=width, max_size=width).map(
        lambda data: np.frombuffer(data, dtype).copy()
    )


def texts(size: int) -> st.SearchStrategy[dict[int, str]]:
    return st.dictionaries(st.integers(0, size - 1), st.text(max_size=20)) if size else st.just({})


@st.composite
def event_columns(draw: st.DrawFn, min_size: int = 0) -> EventColumns:
    size = draw(st.integers(min_size, 12))
    columns = {name: draw(arrays(dtype, size)) for name, (dtype, _) in EVENT_COLUMNS.items()}
    return EventColumns(**columns, text=draw(texts(size)))


@st.composite
def memory_columns(draw: st.DrawFn) -> MemoryColumns:
    size = draw(st.integers(0, 12))
    columns = {name: draw(arrays(dtype, size)) for name, dtype in MEMORY_COLUMNS.items()}
    # Rows of this kind are no memories: the store makes them, and takes them out again.
    columns["kind"][columns["kind"] == MemoryKind.RECALL] = 0
    return MemoryColumns(**columns, text=draw(texts(size)))


def assert_same(
    found: EventColumns | MemoryColumns, expected: EventColumns | MemoryColumns
) -> None:
    """The same rows, types and words."""
    names = EVENT_COLUMNS if isinstance(expected, EventColumns) else MEMORY_COLUMNS
    for name in names:
        left, right = getattr(found, name), getattr(expected, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right, err_msg=name)
    assert found.text == expected.text
