"""Tokenizers of some hundred tokens, each of a kind that the hub has, and saved as the hub has it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

POSITIONS = 64
"""Tokens that a tokenizer says its model takes, special ones included."""

_PASSAGE = (
    "the of and a to in is was on as for with by an are from that it this be at which or have not but all can more one "
    "river stone light seven garden window paper letter engine small answer question search vector learning machine "
    "berlin paris tokyo zürich naïve straße москва 東京 北京 你 好"
)
WORDS = tuple(_PASSAGE.split())
"""Words that each of the tokenizers knows."""

_CHARACTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'()-/äöüßéабвгд東京北你好")
ANGLE = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
"""Special tokens as RoBERTa and the decoders have them."""
SQUARE = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
"""Special tokens as BERT has them."""


def save_tokenizer(folder: Path, tokenizer: Tokenizer, special: Mapping[str, str], class_name: str) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``.

    Args:
        folder: Where to; it is made if need be.
        tokenizer: What is saved.
        special: ``"pad"``, ``"eos"``, ... to the token.
        class_name: The class of transformers that the configuration names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name}_token": token for name, token in special.items()}
    write_json(
        folder / "tokenizer_config.json", {"tokenizer_class": class_name, "model_max_length": POSITIONS, **names}
    )


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, and the folders it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def change_json(path: Path, **changes: Any) -> None:
    """Change some keys of a JSON object in a file."""
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def word_tokenizer() -> tuple[Tokenizer, dict[str, str]]:
    """BERT's: words and ``##`` pieces, between ``[CLS]`` and ``[SEP]``."""
    return _word_pieces([*SQUARE.values()], "[CLS]", "[SEP]", "[UNK]"), SQUARE


def angle_word_tokenizer() -> tuple[Tokenizer, dict[str, str]]:
    """MPNet's: BERT's pieces between ``<s>`` and ``</s>``."""
    return _word_pieces([*ANGLE.values()], "<s>", "</s>", "<unk>"), {**ANGLE, "cls": "<s>", "sep": "</s>"}


def unigram_tokenizer() -> tuple[Tokenizer, dict[str, str]]:
    """XLM-RoBERTa's: sentencepiece pieces with ``▁`` for a space, between ``<s>`` and ``</s>``."""
    pieces = ["▁", *(f"▁{word}" for word in WORDS), *_CHARACTERS, *(f"▁{character}" for character in _CHARACTERS)]
    scored = [(piece, -len(WORDS) / (len(piece) + rank % 7)) for rank, piece in enumerate(dict.fromkeys(pieces))]
    vocabulary = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")] + scored + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return _framed(tokenizer, "<s>", "</s>", ANGLE.values()), ANGLE


def byte_tokenizer(special: Mapping[str, str] = ANGLE, start: str = "<s>", end: str = "</s>") -> Tokenizer:
    """RoBERTa's, ModernBERT's and the decoders': byte pairs."""
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
