"""The kit on a plugin that holds to the contract, and on plugins each of which breaks one line of it."""

from __future__ import annotations

import pytest
from contract_fakes import DECODER, ENCODER, RERANKER, Failing, Fake, Knowing, right

from FlagEmbedding.plugins import ModelClass
from FlagEmbedding.testing import PluginContract

CHECKS = sorted(name for name in vars(PluginContract) if name.startswith("test_"))
QUICK = [name for name in CHECKS if name != "test_workers"]  # a worker takes some seconds to start


def with_class(name, entry=ENCODER):
    """A plugin with one embedder, of a class that is wrong."""
    return lambda: Fake({"fake-encoder": entry.replace(model_class=f"wrong_classes:{name}")})


def with_entry(**changes):
    return lambda: Fake({"fake-encoder": ENCODER.replace(**changes)})


WRONG = {
    "no plugin": (lambda: None, {"test_is_active": "there is no plugin 'fake'; found:"}),
    "a locator that knows everything": (
        Knowing,
        {"test_locator_leaves_other_models_alone": "'nobody/no-such-model', a locator answers '/'"},
    ),
    "a locator that fails": (
        Failing,
        {"test_locator_leaves_other_models_alone": "a locator fails: PluginError: the plugin 'fake'"},
    ),
    "a class that is not there": (
        lambda: Fake(classes={"key": ModelClass("contract_fakes:Nowhere")}),
        {"test_classes": "the class 'key' of 'fake' cannot be imported: ModelClassError"},
    ),
    "a class of the other kind": (
        lambda: Fake(classes={"key": ModelClass("contract_fakes:RightReranker")}),
        {"test_classes": "is a subclass of AbsEmbedder"},
    ),
    "a public name of another class": (
        lambda: Fake(classes={"key": ModelClass("contract_fakes:Right", exports=("FlagModel",))}),
        {"test_classes": "exports 'FlagModel', and that is"},
    ),
    "a model type of another plugin": (
        lambda: Fake(classes={"key": ModelClass("contract_fakes:Right", model_types=("new",))}),
        {"test_classes": "claims the model type 'new', and does not get it: NameConflictError"},
    ),
    "a pooling that reads padding": (
        lambda: Fake(poolings={"p": "wrong_classes:padded_mean"}),
        {"test_poolings": "the pooling 'p' of 'fake' reads the vectors where the mask is False"},
    ),
    "a pooling that is none": (
        lambda: Fake(poolings={"p": "wrong_classes:no_pooling"}),
        {"test_poolings": r"makes \(2, 3, 4\), torch.float32 of \(2, 3, 4\)"},
    ),
    "a hub id of another name": (
        with_entry(hub_id="fake/other"),
        {"test_catalogue": "the embedder 'fake-encoder' has the hub_id 'fake/other'"},
    ),
    "a hub id without organisation": (with_entry(hub_id="fake-encoder"), {"test_catalogue": "hub_id 'fake-encoder'"}),
    "dimensions that do not fit": (with_entry(matryoshka_dims=(16, 32)), {"test_catalogue": r"\(16, 32\).* 32\."}),
    "an unknown pooling": (
        with_entry(pooling_method="no-such-pooling"),
        {"test_catalogue": "pooling .* not known: ModelClassError", "test_loads": "does not load by its name"},
    ),
    "an entry of the other kind": (
        with_entry(model_class="contract_fakes:RightReranker"),
        {"test_catalogue": "has the class contract_fakes:RightReranker", "test_loads": "does not load"},
    ),
    "no reason for a refusal": (
        lambda: Fake(rerankers={"fake-refused": RERANKER.replace(hub_id=None, unsupported=" ")}),
        {"test_refuses": "the reranker 'fake-refused' is marked as unsupported, and no reason is given"},
    ),
    "what never loads": (
        with_class("NeverLoads"),
        {"test_loads": "does not load by its name, .*: OSError: out of order"},
    ),
    "an architecture that nobody has": (
        lambda: Fake(
            {"fake-encoder": ENCODER}, classes={"k": ModelClass("contract_fakes:Right", model_types=("none",))}
        ),
        {"test_loads": "no tiny checkpoint .*: LookupError: transformers has no architecture 'none'"},
    ),
    "one vector for all": (with_class("Constant"), {"test_loads": "gives the same for"}),
    "float64": (with_class("Double"), {"test_loads": "gives float64"}),
    "vectors of any length": (with_class("Long"), {"test_loads": "gives vectors of length"}),
    "vectors that depend on the padding": (with_class("ReadsPadding"), {"test_batches": "is off by .* one at a time"}),
    "vectors out of order": (with_class("SortsAndForgets"), {"test_order": "is off by .* in the opposite order"}),
    "other vectors for duplicates": (with_class("ForgetsDuplicates"), {"test_duplicates": "off by .* given again"}),
    "stripped texts": (with_class("Strips"), {"test_instructions": "gives the tokenizer .*query:  Where is the River"}),
    "no passage instruction": (
        with_class("NoPassages"),
        {"test_instructions": r"encode_corpus\(\) gives the tokenizer"},
    ),
    "the instruction twice": (with_class("Twice"), {"test_instructions": "'query: query:  Where"}),
    "pairs in small letters": (
        lambda: Fake(rerankers={"fake-reranker": RERANKER.replace(model_class="wrong_classes:SmallLetters")}),
        {"test_instructions": r"compute_score\(\) gives the tokenizer .*where is the river"},
    ),
    "texts that do not end": (
        with_class("NoEnding", DECODER),
        {"test_ending": "makes of its texts ids that end in .*append_eos=True in the catalogue: each ends in '</s>'"},
    ),
    "any option": (with_class("TakesEveryOption"), {"test_unknown_options": "loading with no_such_option=1 gives"}),
    "any option of a call": (
        with_class("TakesEveryOptionOfACall"),
        {"test_unknown_options": r"encode_queries\(..., no_such_option=1\) gives"},
    ),
    "any input": (with_class("TakesAnything"), {"test_bad_input": r"encode_queries\(\) of \['river', 3\] gives"}),
    "any checkpoint": (
        with_class("LoadsAnything"),
        {"test_missing_weights": r"loading without the weight 'encoder\.layer\.0.*' gives a model"},
    ),
    "no copy of a checkpoint": (
        with_class("LoadsNoCopy"),
        {"test_missing_weights": "does not load from a copy of its checkpoint: OSError: no such folder: copy"},
    ),
    "a refusal that names nothing": (
        with_class("NamesNothing"),
        {"test_missing_weights": r"is refused with 'the checkpoint is damaged'\.\n.*with '\w+\.weight' in its message"},
    ),
    "an end for good": (
        with_class("ClosesForGood"),
        {"test_close": "closing it twice, or asking it afterwards, fails"},
    ),
}
IN_WORKERS = {
    "OtherInWorkers": r"encode_queries\(\) on devices=\['cpu', 'cpu'\] is off by",
    "NeverCloses": "2 of its processes run on after close",
}


def test_a_right_plugin_passes_every_check(breaches):
    assert breaches(right(), QUICK) == {}


def test_a_class_without_tokenizer_and_weights(breaches, assert_says):
    """Where there is no tokenizer, what reaches the author's own method counts."""

    def build(self, folder, entry):
        """Nothing is read from it."""

    assert breaches(with_entry(model_class="contract_fakes:Letters")(), QUICK, build=build) == {}
    breaches.unregister()
    found = breaches(with_class("LettersWithoutInstruction")(), QUICK, build=build)
    assert list(found) == ["test_instructions"]
    assert_says(found["test_instructions"], r"encode_corpus\(\) gives encode_single_device\(\) \['The Letter")


@pytest.mark.parametrize(("plugin", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_plugin_fails_just_where_it_is_wrong(plugin, expected, breaches, assert_says):
    found = breaches(plugin(), QUICK)
    assert found.keys() == expected.keys(), found
    for name, message in expected.items():
        assert_says(found[name], message)


@pytest.mark.parametrize(("name", "message"), IN_WORKERS.items())
def test_two_workers(name, message, breaches, assert_says):
    """That a right class passes is seen on the plugins of this workspace."""
    assert_says(breaches(with_class(name)(), ["test_workers"])["test_workers"], message)


def test_a_wrong_number_of_vectors_is_said(breaches, assert_says):
    found = breaches(with_class("TooMany")(), ["test_loads"])
    assert_says(found["test_loads"], r"TooMany.encode_queries\(\) gives 7 results for 6 inputs")


def test_a_name_that_two_plugins_claim(breaches, assert_says):
    breaches.register(right(), "other")
    found = breaches(with_entry()(), ["test_catalogue"])
    assert_says(found["test_catalogue"], "is claimed by this process and this process, so that asking for it")


def test_every_check_is_seen_to_fail():
    """The two that are missing here are in this file and in test_registration.py."""
    seen = {name for _, expected in WRONG.values() for name in expected}
    assert sorted(seen | {"test_workers", "test_hooks_import_no_torch"}) == CHECKS
