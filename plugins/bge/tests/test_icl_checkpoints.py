"""Tiny checkpoints for the tests of decoders, with tokenizers that were trained; and the traits those tests rely on."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pytest
import tiny
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

KINDS = ("mistral", "qwen2", "gemma2")
TAGS = ("<instruct>", "<query>", "<response>")
POSITIONS = 512
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query."
EXAMPLES = [
    {"instruct": INSTRUCTION, "query": "what is a river", "response": "A river is water that flows to the sea."},
    {
        "instruct": "Find the reason.",
        "query": "why is light fast?",
        "response": "Light has no mass; nothing slows it.",
    },
]

_CORPUS = [
    "the river is a stone? light\n\nseven gardens\nwindow. paper\nletter!\nengine?\n what is the answer of a search?\n",
    INSTRUCTION + "\n\n",
    *(text for example in EXAMPLES for text in example.values()),
    "who wrote the letter?\n<query>\n<response>the small engine of the garden\n\n",
] * 20
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
}


def build(folder: Path, kind: str = "mistral", **config) -> Path:
    """Write a checkpoint of ``kind``; ``config`` are values of its ``config.json`` that are to differ."""
    tokenizer, special = _TOKENIZERS[kind]()
    tiny.save_tokenizer(folder, tokenizer, special, "PreTrainedTokenizerFast")
    ids = {f"{name}_token_id": tokenizer.token_to_id(token) for name, token in special.items() if name != "unk"}
    settings = {"bos_token_id": None, "vocab_size": tokenizer.get_vocab_size(), **_SIZES, **ids, **config}
    tiny.random_model(transformers.AutoConfig.for_model(kind, **settings)).save_pretrained(folder)
    return folder


class Reference:
    """Plain transformers: the whole string, one text at a time, no cache and no padding."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def vectors(self, texts) -> np.ndarray:
        return np.stack([self._vector(self.tokenizer(text)["input_ids"]) for text in texts])

    def _vector(self, ids) -> np.ndarray:
        with torch.no_grad():
            states = self.model(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state
        last = states[0, -1].double().numpy()
        return last / np.sqrt((last**2).sum())


def query_text(query: str, examples=EXAMPLES, instruction: str | None = INSTRUCTION) -> str:
    """Return what is sent for ``query``, spelt out a second time."""
    shots = "".join(
        "<instruct>" + e["instruct"] + "\n<query>" + e["query"] + "\n<response>" + e["response"] + "\n\n"
        for e in examples
    )
    return shots + ("<instruct>" + instruction + "\n<query>" if instruction else "") + query + "\n<response>"


def _byte_pairs() -> tuple[Tokenizer, dict[str, str]]:
    """Qwen's: bytes, split by its expression; no first token, and the tags are ordinary text."""
    special = {"pad": "<|pad|>", "eos": "<|endoftext|>"}
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_QWEN_SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, special, pre_tokenizers.ByteLevel.alphabet())
    return _framed(tokenizer, special), special


def _sentence_pieces() -> tuple[Tokenizer, dict[str, str]]:
    """Mistral's: ``▁`` for a space and before what comes first; the tags are added tokens."""
    special = {"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"}
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace()
    _train(tokenizer, special, list("▁\n?!.,abcdefghijklmnopqrstuvwxyz"))
    tokenizer.add_special_tokens(list(TAGS))
    return _framed(tokenizer, special), special


def _replaced_spaces() -> tuple[Tokenizer, dict[str, str]]:
    """Gemma's: ``▁`` for a space and nowhere else, tokens that reach over words; the tags are added tokens."""
    special = {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>"}
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Replace("▁", " ")
    _train(tokenizer, special, list("▁\n?!.,abcdefghijklmnopqrstuvwxyz"))
    tokenizer.add_tokens(list(TAGS))
    return _framed(tokenizer, special), special


_TOKENIZERS = {"mistral": _sentence_pieces, "qwen2": _byte_pairs, "gemma2": _replaced_spaces}


def _train(tokenizer: Tokenizer, special: dict[str, str], alphabet: list[str]) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=list(special.values()), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)


def _framed(tokenizer: Tokenizer, special: dict[str, str]) -> Tokenizer:
    frame = {name: special[name] for name in ("bos", "eos") if name in special}
    template = f"{frame.get('bos', '')} $A {frame['eos']}".strip()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, tokenizer.token_to_id(token)) for token in frame.values()]
    )
    return tokenizer


@pytest.mark.parametrize("kind", ["qwen2", "gemma2"])
def test_tokens_reach_over_the_seams(kind):
    """Else these tokenizers could not show that tokenising the parts alone is wrong."""
    tokenizer, _ = _TOKENIZERS[kind]()
    parts = [tokenizer.encode(part, add_special_tokens=False).ids for part in ("who wrote the letter?", "\n")]
    assert tokenizer.encode("who wrote the letter?\n", add_special_tokens=False).ids != parts[0] + parts[1]


def test_the_metaspace_comes_before_whatever_is_first():
    tokenizer, _ = _sentence_pieces()
    parts = [tokenizer.encode(part, add_special_tokens=False).tokens for part in ("the river", "\nis")]
    assert parts[1][0].startswith("▁")
    assert tokenizer.encode("the river\nis", add_special_tokens=False).tokens != parts[0] + parts[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_tags_are_one_token_each_where_they_were_added(kind):
    tokenizer, _ = _TOKENIZERS[kind]()
    lengths = [len(tokenizer.encode(f"a{tag}b", add_special_tokens=False)) for tag in TAGS]
    assert (lengths == [3, 3, 3]) is (kind != "qwen2")
