from __future__ import annotations

import pytest

from FlagEmbedding.abc.inference.options import check_count
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
