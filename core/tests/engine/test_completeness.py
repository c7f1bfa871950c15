from __future__ import annotations

import pytest

from FlagEmbedding.engine.completeness import require_complete
from FlagEmbedding.errors import CheckpointError


def info(missing=(), unexpected=(), mismatched=(), errors=()):
    """What transformers returns for ``output_loading_info=True``."""
    return {
        "missing_keys": set(missing),
        "unexpected_keys": set(unexpected),
        "mismatched_keys": set(mismatched),
        "error_msgs": list(errors),
    }


def refusal(found, **options):
    with pytest.raises(CheckpointError) as caught:
        require_complete("acme/model", found, **options)
    return str(caught.value)


def message(details, hint=""):
    return (
        f"the weights of 'acme/model' do not fit its config.json: {details}. "
        f"The model would run on random numbers.{hint}"
    )


SHAPE = ("score.weight", (2, 32), (1, 32))


def test_a_complete_checkpoint():
    require_complete("acme/model", info())


@pytest.mark.parametrize(
    ("found", "details"),
    [
        (info(missing=["a"]), "1 missing (a)"),
        (info(unexpected=["a"]), "1 unexpected (a)"),
        (info(mismatched=[SHAPE]), "1 of another shape (score.weight (2, 32) instead of (1, 32))"),
        (info(errors=["no such thing"]), "no such thing"),
        (info(missing=["c", "a", "b"]), "3 missing (a, b, c)"),
        (info(missing=["d", "b", "c", "a"]), "4 missing (a, b, c, ...)"),
        (
            info(["a"], ["b"], [SHAPE], ["first", "second"]),
            (
                "1 missing (a); 1 unexpected (b); 1 of another shape (score.weight (2, 32) instead of (1, 32)); "
                "first; second"
            ),
        ),
    ],
)
def test_what_does_not_fit_is_named_in_order(found, details):
    assert refusal(found) == message(details)


def test_the_hint_comes_last():
    assert refusal(info(missing=["a"]), hint=" Its code is not run.") == message(
        "1 missing (a)", " Its code is not run."
    )


@pytest.mark.parametrize("name", ["lm_head.weight", "cls.a", "cls.b"])
def test_what_may_be_left_over(name):
    require_complete("acme/model", info(unexpected=[name]), unused=("lm_head.", "cls."))


@pytest.mark.parametrize("name", ["classifier.weight", "model.lm_head.weight", "clsx"])
def test_a_prefix_is_no_part(name):
    assert refusal(info(unexpected=[name]), unused=("lm_head.", "cls.")) == message(f"1 unexpected ({name})")


def test_what_may_be_missing():
    require_complete("acme/model", info(missing=["pooler.dense.weight"]), may_lack=("pooler.",))


def test_what_may_be_left_over_may_not_be_missing_and_the_reverse():
    assert refusal(info(missing=["cls.a"]), unused=("cls.",)) == message("1 missing (cls.a)")
    assert refusal(info(unexpected=["pooler.a"]), may_lack=("pooler.",)) == message("1 unexpected (pooler.a)")


def test_the_rest_still_counts():
    found = info(missing=["pooler.a", "z"], unexpected=["cls.a", "y"])
    assert refusal(found, unused=("cls.",), may_lack=("pooler.",)) == message("1 missing (z); 1 unexpected (y)")


def test_no_prefix_excuses_another_shape():
    assert "of another shape" in refusal(info(mismatched=[SHAPE]), unused=("score.",), may_lack=("score.",))
