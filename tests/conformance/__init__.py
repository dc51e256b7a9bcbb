"""One script of cases for the clients of all languages."""

import pytest

# A case that fails is to say what it saw, as a test does.
pytest.register_assert_rewrite(
    *(f"conformance.{name}" for name in (
        "client", "handshake", "tolerance", "feedback", "works", "endings",
    ))
)  # fmt: skip
