"""Checks of what a model reads: the card's instruction and the text, byte for byte, and the token it must end in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.testing.answers import ask
from FlagEmbedding.testing.breach import CONFIGS, KIT, require
from FlagEmbedding.testing.entries import Entry
from FlagEmbedding.testing.listening import Heard, listening, tokenizer_of

__tracebackhide__ = True  # see breach

QUERY = " Where is the River?\n"
PASSAGE = "The Letter,\n\tin a  garden "
_MARKS = ("River", "Letter")  # neither instruction nor prompt has them


def query_text(entry: Entry, query: str) -> str:
    """Return a query with the instruction that the catalogue requires for it."""
    config = entry.config
    assert isinstance(config, EmbedderConfig)
    required = config.query_instruction if config.query_instruction_required else None
    return _formatted(required, config.query_instruction_format, query)


def passage_text(entry: Entry, passage: str) -> str:
    """Return a passage with the instruction that the catalogue gives for it."""
    config = entry.config
    assert isinstance(config, EmbedderConfig)
    return _formatted(config.passage_instruction, config.passage_instruction_format, passage)


def _formatted(instruction: str | None, layout: str, text: str) -> str:
    return layout.replace("\\n", "\n").format(instruction, text) if instruction else text


def check_instructions(entry: Entry, model: Any, expected: Mapping[str, Sequence[str]]) -> None:
    """What reaches the tokenizer is what is expected: whole, and nothing else that has the text in it.

    Args:
        entry: The model.
        model: It, loaded.
        expected: By way of asking: the texts that must arrive.
    """
    for way, texts in expected.items():
        heard = _heard(model, way)
        about = [text for text in heard.texts if any(mark in text for mark in _MARKS)]
        missing = [text for text in texts if text not in about]
        strange = [text for text in about if not any(text in whole for whole in texts)]  # a part may come alone
        require(
            not missing and not strange,
            f"{entry}: {way}() gives {heard.where} {about or heard.texts}.",
            f"exactly {list(texts)}, byte for byte: the instruction of the catalogue in its format, and the text",
            f"{entry.config.model_class_reference}, {CONFIGS}; and query_text(), passage_text(), pair_texts() of your "
            f"test class, where the class adds more ({KIT})",
        )


def check_ending(entry: Entry, model: Any, expected: Mapping[str, Sequence[str]]) -> None:
    """Each text ends in the token that its vector is read from."""
    tokenizer = tokenizer_of(model)
    if tokenizer is None:
        pytest.skip(f"{entry} has no tokenizer of the core's base classes that could be listened to")
    wanted = tokenizer.eos_token if entry.append_eos is True else entry.append_eos
    number = tokenizer.convert_tokens_to_ids(wanted)
    for way, texts in expected.items():
        ids = _heard(model, way).ids
        ends = {text: tokenizer.convert_ids_to_tokens(ids[text][-1:]) for text in texts if text in ids}
        require(
            ends and all(ids[text][-1:] == [number] for text in ends),
            f"{entry}: {way}() makes of its texts ids that end in {ends}.",
            f"append_eos={entry.append_eos!r} in the catalogue: each ends in {wanted!r}",
            f"{entry.config.model_class_reference} (_load_tokenizer), and FlagEmbedding.engine.ending",
        )


def _heard(model: Any, way: str) -> Heard:
    items = {"encode_queries": QUERY, "compute_score": (QUERY, PASSAGE)}
    with listening(model) as heard:
        ask(model, way, [items.get(way, PASSAGE)])
    return heard
