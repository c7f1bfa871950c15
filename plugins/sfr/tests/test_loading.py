"""SFR-Embedding-Code-400M_R loads as transformers' own GTE encoder, and the code beside it never runs."""

from __future__ import annotations

import numpy as np
import tokenizers
import torch
import transformers

from FlagEmbedding import FlagAutoModel

TEXTS = ["the river", "seven stone windows and a garden, as of the paper letter in the light", "berlin"]


def test_the_model_for_code(tiny, tmp_path) -> None:
    folder = tmp_path / "SFR-Embedding-Code-400M_R"
    tokenizer, special = tiny.word_tokenizer()
    tiny.save_tokenizer(folder, tokenizer, special, "BertTokenizer")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    network = {**sizes, "vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0, "type_vocab_size": 2}
    by_hand = {"rope_type": "linear", "rope_theta": 320000.0, "factor": 2.0**0.25}
    model = tiny.random_model(transformers.GteConfig(**network, rope_parameters=by_hand))
    model.save_pretrained(folder)  # under the hub's names of the weights
    rope = {"rope_theta": 160000, "rope_scaling": {"type": "ntk", "factor": 2.0}}
    auto_map = {"AutoConfig": "configuration.CodeXEmbedConfig", "AutoModel": "modeling.CodeXEmbedModel"}
    tiny.write_json(folder / "config.json", {**network, **rope, "model_type": "new", "auto_map": auto_map})
    mark = tmp_path / "code-has-run"
    for name in ("configuration", "modeling"):
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")

    vectors = FlagAutoModel.from_finetuned(folder, devices="cpu").encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
        with torch.no_grad():
            state = model(input_ids=torch.tensor([ids])).last_hidden_state[0, 0].double().numpy()
        assert abs(vector - state / np.linalg.norm(state)).max() <= 1e-5
    assert not mark.exists()
