"""Did-you-mean, and the refusal of unknown options."""

from __future__ import annotations

import pytest

from FlagEmbedding.errors import OptionError
from FlagEmbedding.spelling import did_you_mean, nearest, reject_unknown_options

KNOWN = ["acme-embed-small", "acme-embed-large", "acme-embed", "zzz"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme-embd", ["acme-embed", "acme-embed-small", "acme-embed-large"]),
        ("ACME-EMBED", ["acme-embed", "acme-embed-small", "acme-embed-large"]),
        ("zz", ["zzz"]),
        ("nothing like it", []),
        ("", []),
    ],
)
def test_nearest_gives_the_best_first_whatever_the_case(name, expected):
    assert nearest(name, KNOWN) == expected


def test_nearest_gives_names_as_they_are_written():
    assert nearest("acme", ["ACME", "Zed"]) == ["ACME"]


def test_nearest_gives_no_more_than_asked_for():
    assert nearest("acme-embed", KNOWN, count=1) == ["acme-embed"]
    assert nearest("acme-embed", [f"acme-embed{i}" for i in range(9)]) == ["acme-embed8", "acme-embed7", "acme-embed6"]


def test_nearest_takes_an_iterator():
    assert nearest("zz", iter(KNOWN)) == ["zzz"]


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("bach_size", ["batch_size", "devices"], "Did you mean 'batch_size'?"),
        ("max_lenght", ["max_length", "min_length"], "Did you mean 'max_length' or 'min_length'?"),
        ("qqqq", ["batch_size"], ""),
    ],
)
def test_did_you_mean(name, known, expected):
    assert did_you_mean(name, known) == expected


def test_known_options_pass():
    reject_unknown_options({}, ["devices"], "encode()")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("bach_size", "encode() got an unknown option 'bach_size'. Did you mean 'batch_size'?"),
        ("qqqq", "encode() got an unknown option 'qqqq'. Known: batch_size, devices."),
    ],
)
def test_an_unknown_option_is_refused_with_what_is_near_or_known(option, message):
    with pytest.raises(OptionError) as caught:
        reject_unknown_options({option: 1}, ["devices", "batch_size"], "encode()")
    assert str(caught.value) == message


@pytest.mark.parametrize("base", [ValueError, TypeError])
def test_the_refusal_is_what_python_raises_too(base):
    with pytest.raises(base, match="unknown option"):
        reject_unknown_options({"qqqq": 1}, ["devices"], "encode()")
