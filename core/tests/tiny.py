"""Tiny random checkpoints in the hub's own layout, and what plain transformers makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WIDTH = 32
POSITIONS = 64
"""Tokens that fit each of the models, special ones included."""

_PASSAGE = (
    "the of and a to in is was on as for with by an are from that it this be at which or have not but all can more one "
    "river stone light seven garden window paper letter engine small answer question search vector learning machine "
    "berlin paris tokyo zürich naïve straße москва 東京 北京 你 好"
)
WORDS = tuple(_PASSAGE.split())
_CHARACTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'()-/äöüßéабвгд東京北你好")
_ANGLE = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
_SQUARE = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}


def build(folder: Path, model_type: str = "bert", *, kind: Any = transformers.AutoModel, **config: Any) -> Path:
    """Write a checkpoint: random weights, a real tokenizer, and the configuration of both.

    Args:
        folder: Where to.
        model_type: One of :data:`MODEL_TYPES`, or any other encoder; that gets BERT's tokenizer.
        kind: Which of transformers' classes: with a head of pre-training, say.
        **config: Values of ``config.json`` that are to differ.
    """
    tokenizer, special = _TOKENIZERS.get(model_type, word_tokenizer)()
    save_tokenizer(folder, tokenizer, special, _TOKENIZER_CLASSES.get(model_type, "BertTokenizer"))
    settings = {**_SIZES, "vocab_size": tokenizer.get_vocab_size(), **_special_ids(tokenizer, special)}
    settings |= _EXTRA.get(model_type, {}) | config
    random_model(transformers.AutoConfig.for_model(model_type, **settings), kind).save_pretrained(folder)
    return folder


def build_classifier(folder: Path, model_type: str = "bert", *, labels: int = 1, **config: Any) -> Path:
    """Write a cross-encoder: a checkpoint with a classifier of so many labels."""
    return build(folder, model_type, kind=transformers.AutoModelForSequenceClassification, num_labels=labels, **config)


def build_language_model(folder: Path, model_type: str, **options: Any) -> Path:
    """Write a decoder with its output embedding, as the rerankers that say "Yes" have it; see :func:`build_decoder`."""
    return build_decoder(folder, model_type, kind=transformers.AutoModelForCausalLM, **options)


def build_decoder(
    folder: Path,
    model_type: str,
    *,
    start: bool = True,
    end: str = "",
    words: Sequence[str] = (),
    kind: Any = transformers.AutoModel,
    **config: Any,
) -> Path:
    """Write a decoder as the hub has many: its texts must end in ``</s>``, and its tokenizer.json does not add it.

    Args:
        folder: Where to.
        model_type: ``mistral``, ``qwen2``, ``qwen3``, ``gemma2``.
        start: Whether its texts begin with ``<s>``.
        end: Another token that its tokenizer.json puts at the end; then nothing else needs to be added.
        words: Further tokens of its vocabulary.
        kind: Which of transformers' classes.
        **config: Values of ``config.json`` that are to differ.
    """
    tokenizer = byte_tokenizer({**_ANGLE, "end": end} if end else _ANGLE)
    tokenizer.add_tokens(list(words))
    single = " ".join([*(["<s>"] if start else []), "$A", *([end] if end else [])])
    framing = [(token, tokenizer.token_to_id(token)) for token in single.split() if token != "$A"]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=framing)
    special = {name: token for name, token in _ANGLE.items() if start or name != "bos"}
    save_tokenizer(folder, tokenizer, special, "LlamaTokenizerFast" if start else "Qwen2TokenizerFast")
    change_json(folder / "tokenizer_config.json", add_bos_token=start, add_eos_token=not end)
    settings = {**_SIZES, "vocab_size": tokenizer.get_vocab_size(), **_special_ids(tokenizer, special)}
    settings |= {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 8 * POSITIONS} | config
    random_model(transformers.AutoConfig.for_model(model_type, **settings), kind).save_pretrained(folder)
    return folder


def random_model(config: Any, kind: Any = transformers.AutoModel) -> torch.nn.Module:
    """Return a model whose every weight is random, the biases too: nothing in it is neutral."""
    model = kind.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(20240229)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator) * 0.2
            weight.copy_(noise + 1 if "norm" in name.lower() and name.endswith("weight") else noise)
    return model.eval()


def save_tokenizer(folder: Path, tokenizer: Tokenizer, special: Mapping[str, str], class_name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name}_token": token for name, token in special.items()}
    write_json(
        folder / "tokenizer_config.json", {"tokenizer_class": class_name, "model_max_length": POSITIONS, **names}
    )


def add_sentence_transformers_files(folder: Path, pooling: str, max_length: int | None = None) -> Path:
    """Add the files that sentence-transformers 2 to 5 write beside a checkpoint."""
    kinds = [
        ("0", "", "models.Transformer"),
        ("1", "1_Pooling", "models.Pooling"),
        ("2", "2_Normalize", "models.Normalize"),
    ]
    modules = [
        {"idx": int(index), "name": index, "path": path, "type": f"sentence_transformers.{kind}"}
        for index, path, kind in kinds
    ]
    write_json(folder / "modules.json", modules)
    flags = {"cls": "cls_token", "mean": "mean_tokens", "last_token": "lasttoken", "max": "max_tokens"}
    modes = {f"pooling_mode_{flag}": name == pooling for name, flag in flags.items()}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": WIDTH, **modes})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    return folder


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def change_json(path: Path, **changes: Any) -> None:
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def rename_weights(folder: Path, part: str, other: str) -> None:
    """Replace ``part`` by ``other`` in the names of a checkpoint's weights."""
    path = folder / "model.safetensors"
    weights = {name.replace(part, other): weight for name, weight in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(weights, path, {"format": "pt"})


class Reference:
    """What the vectors of a checkpoint are: transformers' own calls, one text at a time, pooled by hand in float64."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def states(self, text: str, max_length: int = POSITIONS) -> np.ndarray:
        inputs = self.tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        with torch.no_grad():
            return self._model(**inputs).last_hidden_state[0].double().numpy()

    def pooled(self, text: str, pooling: str = "cls", max_length: int = POSITIONS) -> np.ndarray:
        states = self.states(text, max_length)
        return {"cls": states[0], "mean": states.mean(axis=0), "last_token": states[-1]}[pooling]

    def vectors(self, texts: Iterable[str], pooling: str = "cls", max_length: int = POSITIONS) -> np.ndarray:
        rows = np.stack([self.pooled(text, pooling, max_length) for text in texts])
        return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def word_tokenizer() -> tuple[Tokenizer, dict[str, str]]:
    """BERT's: words and ``##`` pieces, between ``[CLS]`` and ``[SEP]``."""
    return _word_pieces([*_SQUARE.values()], "[CLS]", "[SEP]", "[UNK]"), _SQUARE


def unigram_tokenizer() -> tuple[Tokenizer, dict[str, str]]:
    """XLM-RoBERTa's: sentencepiece pieces with ``▁`` for a space, between ``<s>`` and ``</s>``."""
    pieces = ["▁", *(f"▁{word}" for word in WORDS), *_CHARACTERS, *(f"▁{character}" for character in _CHARACTERS)]
    scored = [(piece, -len(WORDS) / (len(piece) + rank % 7)) for rank, piece in enumerate(dict.fromkeys(pieces))]
    vocabulary = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")] + scored + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return _framed(tokenizer, "<s>", "</s>", _ANGLE.values()), _ANGLE


def byte_tokenizer(special: Mapping[str, str] = _ANGLE, start: str = "<s>", end: str = "</s>") -> Tokenizer:
    """RoBERTa's and ModernBERT's: byte pairs."""
    merges = [merge for word in WORDS[:40] for merge in _merges(f"Ġ{word}")]
    tokens = [*special.values(), *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(merge) for merge in merges)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(dict.fromkeys(merges)), unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _framed(tokenizer, start, end, special.values())


def _merges(word: str) -> list[tuple[str, str]]:
    return [(word[:index], word[index]) for index in range(1, len(word))]


def _word_pieces(special: Sequence[str], start: str, end: str, unknown: str) -> Tokenizer:
    tokens = [*special, *WORDS, *_CHARACTERS, *(f"##{character}" for character in _CHARACTERS)]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _framed(tokenizer, start, end, special)


def _framed(tokenizer: Tokenizer, start: str, end: str, special: Iterable[str]) -> Tokenizer:
    tokenizer.add_special_tokens(list(special))
    frame = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", pair=f"{start} $A {end} $B {end}", special_tokens=frame
    )
    return tokenizer


def _angle_words() -> tuple[Tokenizer, dict[str, str]]:
    return _word_pieces([*_ANGLE.values()], "<s>", "</s>", "<unk>"), {**_ANGLE, "cls": "<s>", "sep": "</s>"}


def _special_ids(tokenizer: Tokenizer, special: Mapping[str, str]) -> dict[str, int]:
    names = [name for name in ("pad", "bos", "eos", "cls", "sep") if name in special]
    return {f"{name}_token_id": tokenizer.token_to_id(special[name]) for name in names}


_TOKENIZERS = {
    "xlm-roberta": unigram_tokenizer,
    "roberta": lambda: (byte_tokenizer(), _ANGLE),
    "mpnet": _angle_words,
    "modernbert": lambda: (byte_tokenizer(_SQUARE, "[CLS]", "[SEP]"), _SQUARE),
}
_TOKENIZER_CLASSES = {
    "xlm-roberta": "XLMRobertaTokenizer",
    "roberta": "RobertaTokenizer",
    "mpnet": "MPNetTokenizer",
    "modernbert": "PreTrainedTokenizerFast",
}
_SIZES = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": POSITIONS,
}
_ROBERTA = {"max_position_embeddings": POSITIONS + 2}  # positions are numbered from padding_idx + 1
_NO_IDS = {"bos_token_id": None, "eos_token_id": None}  # the defaults are ids of the real vocabulary
_EXTRA: dict[str, dict[str, Any]] = {
    "xlm-roberta": _ROBERTA,
    "roberta": _ROBERTA,
    "mpnet": _ROBERTA,
    "modernbert": {"num_hidden_layers": 3, "local_attention": 16, "global_attn_every_n_layers": 2} | _NO_IDS,
}
