"""A cache that is empty before a test and after it, for those that count what is compiled."""

import pytest

import ch11


@pytest.fixture
def empty_cache():
    ch11.clear_cache()
    yield
    ch11.clear_cache()
