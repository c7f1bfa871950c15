"""The end of a sequence: last-token pooling reads the token that a model was trained to end its texts with.

transformers 5 drops ``add_eos_token`` of ``tokenizer_config.json`` when there is a ``tokenizer.json``, and many of
those add no such token: one popular model's retrieval fell from 0.72 to 0.37 in silence (mteb pull request 5237).
"""

from __future__ import annotations

from typing import Any

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.explaining import tokenizing
from FlagEmbedding.errors import CheckpointError


def load_ending_tokenizer(checkpoint: Checkpoint, append_eos: bool | str | None) -> Any:
    """Return the checkpoint's tokenizer, each text of which ends as it must.

    Args:
        checkpoint: The files.
        append_eos: True: in the tokenizer's end-of-sequence token. A token's text: in that token. None or False: as
            ``add_eos_token`` of ``tokenizer_config.json`` says.

    Raises:
        CheckpointError: It does not, and building the tokenizer anew did not help.
    """
    with tokenizing(checkpoint.source):
        return _ending_tokenizer(checkpoint, append_eos)


def _ending_tokenizer(checkpoint: Checkpoint, append_eos: bool | str | None) -> Any:
    tokenizer, settings = checkpoint.load_tokenizer(), checkpoint.tokenizer_settings()
    end = append_eos or bool(settings.get("add_eos_token"))
    start = _starts_in_bos(tokenizer) or (bool(settings.get("add_bos_token")) and tokenizer.bos_token_id is not None)
    if end is True and tokenizer.eos_token is None:
        raise CheckpointError(
            f"the texts of {checkpoint.source!r} must end in an end-of-sequence token, which its vectors are read "
            f"from, and its tokenizer has none. Set eos_token in its tokenizer_config.json."
        )
    if _is_framed(tokenizer, start, end):
        return tokenizer
    if not isinstance(end, str):
        # Both flags: the one that is left out would be taken for False, and the model lose its first token.
        tokenizer = checkpoint.load_tokenizer(add_bos_token=start, add_eos_token=end)
    if not _is_framed(tokenizer, start, end):
        raise CheckpointError(
            f"the texts of {checkpoint.source!r} must end in {_token(tokenizer, end)!r}, which its vectors are read "
            f"from, and its tokenizer makes {tokenizer.convert_ids_to_tokens(_ids(tokenizer))} of 'x'. Correct the "
            f"post_processor in its tokenizer.json."
        )
    return tokenizer


def _is_framed(tokenizer: Any, start: bool, end: bool | str) -> bool:
    return _starts_in_bos(tokenizer) is start and (not end or _ends_in(tokenizer, end))


def _ends_in(tokenizer: Any, wanted: bool | str) -> bool:
    return _ids(tokenizer)[-1:] == [tokenizer.convert_tokens_to_ids(_token(tokenizer, wanted))]


def _starts_in_bos(tokenizer: Any) -> bool:
    return tokenizer.bos_token_id is not None and _ids(tokenizer)[:1] == [tokenizer.bos_token_id]


def _token(tokenizer: Any, wanted: bool | str) -> Any:
    return tokenizer.eos_token if wanted is True else wanted


def _ids(tokenizer: Any) -> list[int]:
    """Return the ids of a short text; not empty ones, because some tokenizers frame only what is there."""
    ids: list[int] = tokenizer("x")["input_ids"]
    return ids
