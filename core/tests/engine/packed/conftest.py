from __future__ import annotations

import copy
import functools

import pytest
import torch
import transformers

ENCODERS = ("bert", "xlm-roberta", "roberta", "mpnet", "modernbert", "gte", "distilbert")
DECODERS = ("mistral", "llama", "qwen2", "qwen3", "gemma", "gemma2")


@pytest.fixture(scope="session")
def load(tiny, checkpoint, tmp_path_factory):
    """``load("bert", window=4)`` is a fresh float32 model, random but always the same; options change its config."""

    @functools.cache
    def folder(kind):
        if kind in DECODERS:
            return tiny.build_decoder(tmp_path_factory.mktemp("decoders") / kind, kind)
        return checkpoint(kind)

    def fresh(kind, dtype=torch.float32, **options):
        config = transformers.AutoConfig.from_pretrained(folder(kind))
        for name, value in options.items():
            setattr(config, name, value)
        model = transformers.AutoModel.from_pretrained(folder(kind), config=copy.deepcopy(config), dtype=dtype)
        return model.eval().requires_grad_(requires_grad=False)

    return fresh


@pytest.fixture(scope="session")
def texts():
    """Make token ids that are special in no tiny model."""

    def make(*lengths, seed=1):
        generator = torch.Generator().manual_seed(seed)
        return [torch.randint(7, 60, (length,), generator=generator).tolist() for length in lengths]

    return make


@pytest.fixture(scope="session")
def alone():
    """What plain transformers makes of each text, one at a time."""

    @torch.inference_mode()
    def states(model, rows, **inputs):
        assert model.config._attn_implementation in ("sdpa", "eager")
        extra = [{name: torch.tensor([value[index]]) for name, value in inputs.items()} for index in range(len(rows))]
        return [
            model(input_ids=torch.tensor([row]), **more).last_hidden_state[0].float()
            for row, more in zip(rows, extra, strict=True)
        ]

    return states
