"""Claims: one is the answer, several are a conflict that names every owner."""

from __future__ import annotations

import pytest

from FlagEmbedding.claims import Claim, sole_claim
from FlagEmbedding.errors import NameConflictError


def test_the_only_claim_is_the_answer():
    claim = Claim("value", "acme 1.0")
    assert sole_claim("embedder", "acme-embed", [claim]) is claim


@pytest.mark.parametrize(
    ("owners", "in_words"),
    [(["acme 1.0", "other 2.0"], "acme 1.0 and other 2.0"), (["a 1", "b 2", "c 3"], "a 1 and b 2 and c 3")],
)
def test_a_conflict_names_the_name_every_owner_and_the_way_out(owners, in_words):
    with pytest.raises(NameConflictError) as caught:
        sole_claim("embedder", "acme-embed", [Claim("value", owner) for owner in owners])
    assert str(caught.value) == (
        f"the embedder 'acme-embed' is claimed by {in_words}. Uninstall one of them, or switch it off with "
        "FLAGEMBEDDING_DISABLE_PLUGINS=<distribution>."
    )


def test_a_conflict_is_a_value_error():
    assert issubclass(NameConflictError, ValueError)
