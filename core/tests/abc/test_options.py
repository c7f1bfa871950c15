from __future__ import annotations

import pytest

from FlagEmbedding.abc.inference.options import check_count, constructor_options
from FlagEmbedding.errors import OptionError


@pytest.mark.parametrize("value", [1, 7, 10**9, None])
def test_a_count_is_given_back(value):
    assert check_count(value, "batch_size") is value


@pytest.mark.parametrize("value", [0, -1, 1.0, 1.5, True, False, "8", [8], float("nan")])
def test_what_is_no_count(value):
    with pytest.raises(OptionError) as caught:
        check_count(value, "batch_size")
    assert "batch_size" in str(caught.value)
    assert repr(value) in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


class Base:
    def __init__(self, one, *positional, two=2, **rest):
        pass


class Middle(Base):
    pass


class Derived(Middle):
    def __init__(self, one, three, /, four, *, five=5, **rest):
        pass


def test_options_of_a_constructor_and_those_it_passes_on():
    assert constructor_options(Derived) == ["five", "four", "one", "two"]
    assert constructor_options(Middle) == ["one", "two"]
