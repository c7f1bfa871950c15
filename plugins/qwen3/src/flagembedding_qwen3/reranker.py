"""The Qwen3 rerankers: a chat in which the model answers "yes" or "no" (Qwen3-Reranker model card)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.forward import TokenVectors
from FlagEmbedding.engine.pair_tokens import PairIds, check_room
from FlagEmbedding.engine.pairs import Pair
from FlagEmbedding.engine.tokenizing import Tokens, bare_backend
from FlagEmbedding.errors import CheckpointError, OptionError
from FlagEmbedding.inference.reranker.decoder_only.base import BaseLLMReranker

_BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
_AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


class Qwen3Reranker(BaseLLMReranker):
    r"""A Qwen3 language model that is asked in its chat format; the score is the log-odds of "yes" against "no".

    ``normalize=True`` gives the probability of "yes" among the two, which the card shows. Instruction, query and
    document are one text, cut at its end to what the chat around it leaves of ``max_length``, as on the card.

    The arguments that are not listed are those of
    :class:`~FlagEmbedding.inference.reranker.decoder_only.base.BaseLLMReranker`.

    Args:
        query_instruction_for_rerank: The task, in one sentence; None, and ``""``, mean the card's own: the layout has a
            line for it.
        query_instruction_format: Two ``{}``: task, then query.
        passage_instruction_for_rerank: What comes between the query's line and the document.
        prompt: Not for these models: the question is in their chat format.

    Raises:
        OptionError: ``query_max_length`` or ``prompt`` is given.
        CheckpointError: The tokenizer has not the words of the answer.
    """

    default_instruction = "Given a web search query, retrieve relevant passages that answer the query"

    def __init__(
        self,
        model_name_or_path: str,
        peft_path: str | None = None,
        use_fp16: bool = False,
        use_bf16: bool = False,
        query_instruction_for_rerank: str | None = None,
        query_instruction_format: str = "<Instruct>: {}\n<Query>: {}",
        passage_instruction_for_rerank: str | None = "<Document>: ",
        passage_instruction_format: str = "{}{}",
        cache_dir: str | None = None,
        trust_remote_code: bool = False,
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        prompt: str | None = None,
        batch_size: int = 128,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        _refuse(query_max_length, prompt)
        super().__init__(
            model_name_or_path,
            peft_path=peft_path,
            use_fp16=use_fp16,
            use_bf16=use_bf16,
            query_instruction_for_rerank=query_instruction_for_rerank or self.default_instruction,
            query_instruction_format=query_instruction_format,
            passage_instruction_for_rerank=passage_instruction_for_rerank,
            passage_instruction_format=passage_instruction_format,
            cache_dir=cache_dir,
            trust_remote_code=trust_remote_code,
            devices=devices,
            batch_size=batch_size,
            max_length=max_length,
            normalize=normalize,
            **kwargs,
        )

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:
        super()._set_tokenizer(source, tokenizer)
        self._backend = bare_backend(tokenizer)
        self._yes_and_no = [tokenizer.convert_tokens_to_ids(answer) for answer in ("yes", "no")]
        if None in self._yes_and_no or tokenizer.unk_token_id in self._yes_and_no:
            raise CheckpointError(
                f"the tokenizer of {source!r} has no tokens 'yes' and 'no', so it is not a Qwen3 reranker's."
            )
        self._chat = self._pairs.ids(_BEFORE), self._pairs.ids(_AFTER)

    def _tokenized(
        self, pairs: Sequence[Pair], max_length: int, *, query_max_length: int | None, prompt: str | None
    ) -> Tokens[PairIds]:
        _refuse(query_max_length, prompt)
        before, after = self._chat
        room = max_length - len(before) - len(after)
        check_room(room, max_length, len(before) + len(after))
        texts = [f"{query}\n{passage}" for query, passage in pairs]
        asked = [encoding.ids for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False)]
        rows = [PairIds([*before, *ids[:room], *after], len(before), min(len(ids), room)) for ids in asked]
        return Tokens(rows, sum(len(ids) > room for ids in asked), max_length)

    def _answers(self) -> list[int]:
        return self._yes_and_no

    def _yes(self, hidden: TokenVectors) -> Tensor:
        """Return the logit of "yes" less that of "no" at each row's last token, float32 ``[rows, 1]``."""
        yes, no = self._vocabulary(hidden.last()).unbind(dim=1)
        return (yes - no).unsqueeze(1)


def _refuse(query_max_length: int | None, prompt: str | None) -> None:
    if query_max_length is not None:
        raise OptionError("a Qwen3 reranker cuts query and document as one text: set max_length, not query_max_length.")
    if prompt is not None:
        raise OptionError("a Qwen3 reranker has its question in its chat format: set query_instruction_for_rerank.")
