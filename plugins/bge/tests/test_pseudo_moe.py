"""PseudoMoELLMEmbedder on checkpoints with Python code of their own, in the layouts that the package on PyPI calls."""

from __future__ import annotations

import inspect
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import test_icl_checkpoints as icl
import torch

from FlagEmbedding.errors import CheckpointError, NotFiniteError, OptionError
from flagembedding_bge.pseudo_moe import PseudoMoELLMEmbedder

TEXTS = ["what is a stone?", "light", "the river of the garden and the seven letters\n"]
DOMAINS = ["general", "coding", "reasoning"]

# A decoder with one bias a domain: what tells the domains apart, and nothing else.
_CODE = """
import torch
from transformers import Qwen2Config, Qwen2Model


class {name}Config(Qwen2Config):
    model_type = "{name}"


class {name}Model(Qwen2Model):
    config_class = {name}Config

    def __init__(self, config):
        super().__init__(config)
        zero = torch.zeros(config.hidden_size)
        self.biases = torch.nn.ParameterDict({{name: zero for name in ("general", "coding", "reasoning")}})
        self.active = "general"

    def moved(self, output, domain):
        output.last_hidden_state = output.last_hidden_state + self.biases[domain]
        return output
"""
_KEEPS = """
    def set_domain(self, name):
        if name not in self.biases:
            raise {error}(name)
        self.active = name

    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        return self.moved(super().forward(input_ids=input_ids, attention_mask=attention_mask), self.active)
"""
_TAKES = """
    def forward(self, input_ids=None, attention_mask=None, domain=None, **kwargs):
        output = super().forward(input_ids=input_ids, attention_mask=attention_mask)
        return self.moved(output, domain or self.active)
"""
_BOTH = """
    def set_domain(self, name):
        self.active = name

    def forward(self, input_ids=None, attention_mask=None, domain=None, **kwargs):
        assert domain in (None, self.active)
        return self.moved(super().forward(input_ids=input_ids, attention_mask=attention_mask), self.active)
"""
_NEITHER = """
    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        return super().forward(input_ids=input_ids, attention_mask=attention_mask)
"""
LAYOUTS = {"keeps": _KEEPS.format(error="ValueError"), "takes": _TAKES, "both": _BOTH, "neither": _NEITHER}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return icl.build(tmp_path_factory.mktemp("plain") / "qwen2", "qwen2")


@pytest.fixture(scope="module")
def routed(plain, tmp_path_factory):
    """``routed("keeps")`` writes a checkpoint whose code routes domains so, with the weights of ``plain``."""
    modules = tmp_path_factory.mktemp("modules")
    patch = pytest.MonkeyPatch()
    patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(modules))
    patch.syspath_prepend(modules)
    count = iter(range(1000))

    def build(layout, *, domains=DOMAINS, code=None):
        name = f"Routed{next(count)}"
        folder = tmp_path_factory.mktemp("routed") / name
        shutil.copytree(plain, folder)
        (folder / f"modeling_{name}.py").write_text(_CODE.format(name=name) + (code or LAYOUTS[layout]))
        classes = {"AutoConfig": f"modeling_{name}.{name}Config", "AutoModel": f"modeling_{name}.{name}Model"}
        extra = {} if domains is None else {"domains": domains}
        icl.tiny.change_json(folder / "config.json", model_type=name, auto_map=classes, **extra)
        _add_biases(folder / "model.safetensors")
        return str(folder)

    yield build
    patch.undo()


def _add_biases(path):
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    weights = load_file(path)
    for index, name in enumerate(DOMAINS):
        weights[f"biases.{name}"] = torch.linspace(-1, 1, 32) * index
    save_file(weights, path, metadata={"format": "pt"})


def load(folder, **options):
    return PseudoMoELLMEmbedder(str(folder), devices="cpu", **{"trust_remote_code": True, **options})


@pytest.fixture(scope="module")
def expected(plain):
    """``expected(texts, "coding")``: plain transformers, one text at a time, the domain's bias added by hand."""
    reference = icl.Reference(plain)

    def vectors(texts, domain="general"):
        rows = []
        for text in texts:
            ids = torch.tensor([reference.tokenizer(text)["input_ids"]])
            with torch.no_grad():
                last = reference.model(input_ids=ids, use_cache=False).last_hidden_state[0, -1].double()
            last += torch.linspace(-1, 1, 32).double() * DOMAINS.index(domain)
            rows.append((last / last.norm()).numpy())
        return np.stack(rows)

    return vectors


def differ(vectors, other):
    return np.abs(np.asarray(vectors, dtype=np.float64) - other).max()


@pytest.mark.parametrize("layout", ["keeps", "takes", "both"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_domain_of_the_embedder(layout, domain, routed, expected):
    model = load(routed(layout), domain_for_pseudo_moe=domain)
    assert differ(model.encode(TEXTS), expected(TEXTS, domain)) <= 1e-5
    assert differ(model.encode_corpus(TEXTS, batch_size=1), expected(TEXTS, domain)) <= 1e-5


@pytest.mark.parametrize("layout", ["keeps", "takes", "both"])
@pytest.mark.parametrize("option", ["domain_for_pseudo_moe", "domain"])
def test_the_domain_of_a_call(layout, option, routed, expected):
    model = load(routed(layout), domain_for_pseudo_moe="coding")
    assert differ(model.encode(TEXTS, **{option: "reasoning"}), expected(TEXTS, "reasoning")) <= 1e-5
    assert differ(model.encode(TEXTS), expected(TEXTS, "coding")) <= 1e-5
    assert differ(model.encode_corpus(TEXTS, **{option: "general"}), expected(TEXTS, "general")) <= 1e-5


def test_after_a_move(routed, expected):
    model = load(routed("takes"))
    for device in ("cpu", "cpu:0"):
        model._place("cpu", model._to_place())
        vectors = model.encode_single_device(TEXTS, device=device, domain="coding")
        assert differ(vectors, expected(TEXTS, "coding")) <= 1e-5
    assert differ(model.encode(TEXTS), expected(TEXTS)) <= 1e-5


def test_a_call_leaves_the_embedder_as_it_is(routed):
    model = load(routed("takes"))
    before = dict(vars(model))
    model.encode(TEXTS, domain="coding")
    assert vars(model) == before


def test_the_long_name_counts_before_the_short_one(routed, expected):
    model = load(routed("takes"))
    vectors = model.encode(TEXTS, domain="coding", domain_for_pseudo_moe="reasoning")
    assert differ(vectors, expected(TEXTS, "reasoning")) <= 1e-5


@pytest.mark.parametrize("layout", ["keeps", "takes", "both", "neither"])
def test_no_domain_is_the_checkpoints_own(layout, routed, expected):
    assert differ(load(routed(layout)).encode(TEXTS), expected(TEXTS)) <= 1e-5


def test_queries_get_the_instruction(routed, expected):
    model = load(routed("takes"), query_instruction_for_retrieval="Find it.")
    texts = [f"Instruct: Find it.\nQuery: {text}" for text in TEXTS]
    assert differ(model.encode_queries(TEXTS, domain="coding"), expected(texts, "coding")) <= 1e-5


def test_a_checkpoint_without_code_is_a_decoder(plain, expected):
    model = load(plain, trust_remote_code=False)
    assert differ(model.encode(TEXTS), expected(TEXTS)) <= 1e-5
    assert model.domains == ()


@pytest.mark.parametrize("layout", ["keeps", "takes"])
def test_an_unknown_domain_names_the_known(layout, routed):
    folder = routed(layout)
    message = r"unknown domain 'codin'\. Did you mean 'coding'\? Known: general, coding, reasoning\."
    with pytest.raises(OptionError, match=message):
        load(folder, domain_for_pseudo_moe="codin")
    model = load(folder)
    with pytest.raises(OptionError, match=message):
        model.encode(TEXTS, domain="codin")
    with pytest.raises(OptionError, match=r"unknown domain 'zzz'\. Known: general"):
        model.encode(TEXTS, domain="zzz")


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "IndexError"])
def test_a_checkpoint_that_lists_none_is_asked(error, routed):
    model = load(routed("keeps", domains=None, code=_KEEPS.format(error=error)))
    with pytest.raises(OptionError, match=rf"fails on domain 'law' \({error}: .*'general', 'coding'") as caught:
        model.encode(TEXTS, domain="law")
    assert type(caught.value.__cause__).__name__ == error
    assert model.encode(TEXTS).shape == (3, 32)


def test_a_forward_that_refuses_the_domain(routed):
    with pytest.raises(OptionError, match=r"fails on domain 'law' \(AttributeError"):
        load(routed("takes", domains=None)).encode(TEXTS, domain="law")


def test_another_fault_of_the_code_is_passed_on(routed):
    model = load(routed("keeps", code=_KEEPS.format(error="RuntimeError"), domains=None))
    with pytest.raises(RuntimeError, match="law"):
        model.encode(TEXTS, domain="law")


def test_domains_may_be_the_keys_of_a_table(routed):
    assert load(routed("takes", domains={"a": 0, "b": 1})).domains == ("a", "b")


def test_a_text_is_no_list_of_domains(routed):
    assert load(routed("takes", domains="general")).domains == ()


@pytest.mark.parametrize("build", ["plain", "neither"])
def test_a_checkpoint_without_domains_says_so(build, plain, routed):
    folder = plain if build == "plain" else routed("neither")
    with pytest.raises(OptionError, match=r"domain 'coding' was asked for, and .* has no domains"):
        load(folder, domain_for_pseudo_moe="coding")
    model = load(folder)
    with pytest.raises(OptionError, match="has no domains"):
        model.encode(TEXTS, domain="coding")


def test_a_domain_that_is_no_text(routed):
    with pytest.raises(OptionError, match="the domain must be a string, not 3"):
        load(routed("takes"), domain_for_pseudo_moe=3)


@pytest.mark.parametrize("layout", ["keeps", "both"])
def test_a_domain_does_not_stay_for_calls_that_name_none(layout, routed):
    model = load(routed(layout))
    model.encode(TEXTS)
    model.encode(TEXTS, domain="coding")
    with pytest.raises(OptionError, match=r"an earlier call set a domain.* name the domain"):
        model.encode(TEXTS)


def test_a_forward_that_takes_the_domain_has_nothing_to_restore(routed, expected):
    model = load(routed("takes"))
    model.encode(TEXTS, domain="coding")
    assert differ(model.encode(TEXTS), expected(TEXTS)) <= 1e-5


def test_code_runs_only_when_it_may(routed, tmp_path):
    mark = tmp_path / "ran"
    folder = routed("takes", code=f"\n    open({str(mark)!r}, 'w').close()\n" + _TAKES)
    with pytest.raises(CheckpointError, match=r"Python code of its own .*modeling_Routed.* trust_remote_code=True"):
        PseudoMoELLMEmbedder(folder, devices="cpu")
    assert not mark.exists()
    load(folder)
    assert mark.exists()


def test_code_beside_a_known_type_is_refused_too(routed):
    """transformers would take its own class for the type, and route nothing."""
    folder = routed("takes")
    icl.tiny.change_json(Path(folder) / "config.json", model_type="qwen2")
    with pytest.raises(CheckpointError, match="trust_remote_code=True"):
        PseudoMoELLMEmbedder(folder, devices="cpu")


@pytest.mark.parametrize("content", ["{", "[1]", None])
def test_a_faulty_configuration(content, plain, tmp_path):
    folder = Path(shutil.copytree(plain, tmp_path / "model"))
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(folder)


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("normalize", [True, False])
def test_what_is_not_finite_is_an_error(value, normalize, routed):
    code = _TAKES.replace(
        "return self", f"output.last_hidden_state[input_ids[:, 0] == 77] = float('{value}')\n        return self"
    )
    model = load(routed("takes", code=code), normalize_embeddings=normalize)
    tokenizer = model.tokenizer
    first = tokenizer.decode([77])
    assert tokenizer(first)["input_ids"][0] == 77
    texts = ["stone", first, "garden", first + " light"]
    with pytest.raises(NotFiniteError, match=r"2 of 4 vectors of .* hold NaN or infinity \(1, 3\), .*torch\.float32"):
        model.encode(texts)
    with pytest.raises(NotFiniteError, match=r"7 of 7 .* \(0, 1, 2, 3, 4, \.\.\.\)"):
        model.encode([first] * 7)
    assert np.isfinite(model.encode(["stone"])).all()


def test_shapes_and_types(routed):
    model = load(routed("takes"), domain_for_pseudo_moe="coding")
    assert model.encode("stone").shape == (32,)
    assert model.encode([]).shape == (0, 32)
    rows = model.encode(["stone", "light"], convert_to_numpy=False, truncate_dim=8)
    assert isinstance(rows, torch.Tensor)
    assert (rows.shape, rows.dtype) == ((2, 8), torch.float32)


def test_precision(plain, caplog):
    """bfloat16 by default on accelerators, float32 on a CPU unless it is asked for."""
    with caplog.at_level(logging.INFO):
        assert load(plain).model.dtype is torch.float32
        assert load(plain, use_fp16=True).model.dtype is torch.float32
        assert load(plain, use_bf16=True).model.dtype is torch.bfloat16


@pytest.mark.parametrize(("use_bf16", "wanted"), [(None, True), (True, True), (False, False)])
def test_precision_on_an_accelerator(use_bf16, wanted, plain, monkeypatch):
    """No accelerator is needed to see what would be computed in."""
    seen = {}

    def stop(device, use_fp16, use_bf16):
        seen.update(device=device, use_bf16=use_bf16)
        raise InterruptedError

    monkeypatch.setattr("FlagEmbedding.inference.loaded.compute_dtype", stop)
    monkeypatch.setattr("FlagEmbedding.abc.inference.on_devices.requested_devices", lambda *_: ["cuda:0"])
    with pytest.raises(InterruptedError):
        PseudoMoELLMEmbedder(str(plain), use_bf16=use_bf16)
    assert seen == {"device": "cuda:0", "use_bf16": wanted}


def test_unknown_options(routed):
    with pytest.raises(OptionError, match="'domain_for_pseudo_moe'"):
        load(routed("takes"), domain_for_pseudomoe="coding")
    with pytest.raises(OptionError, match="'doman'"):
        load(routed("takes")).encode(TEXTS, doman="coding")


def test_positional_arguments_are_in_the_order_of_the_package_on_pypi():
    assert list(inspect.signature(PseudoMoELLMEmbedder).parameters)[:15] == [
        "model_name_or_path",
        "normalize_embeddings",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_retrieval",
        "query_instruction_format",
        "devices",
        "trust_remote_code",
        "cache_dir",
        "batch_size",
        "query_max_length",
        "passage_max_length",
        "convert_to_numpy",
        "truncate_dim",
        "domain_for_pseudo_moe",
    ]
