"""Every test of the chapter begins and ends with an empty cache."""

import pytest

import ch3


@pytest.fixture(autouse=True)
def empty_cache():
    ch3.clear_cache()
    yield
    ch3.clear_cache()
