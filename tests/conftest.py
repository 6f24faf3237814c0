"""For all tests: what Hypothesis tries is the same in every run."""

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of our own."""
    parser.addoption(
        "--rewrite-transcripts",
        action="store_true",
        help="record tests/core/transcripts anew: commit the changes only if you understand what caused them",
    )
