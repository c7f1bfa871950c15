"""The contract of a reranker, and the one template of ``compute_score`` and ``rank``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NotRequired, TypeAlias, TypedDict

from torch import Tensor

from FlagEmbedding.abc.inference.as_cross_encoder import AsCrossEncoder, one_score_a_pair
from FlagEmbedding.abc.inference.dialect import translate
from FlagEmbedding.abc.inference.instructions import Instructed, check_format, with_instruction
from FlagEmbedding.abc.inference.on_devices import OnDevices
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.construction import refuse_unknown
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.pairs import Pair, as_pairs
from FlagEmbedding.engine.texts import as_texts
from FlagEmbedding.errors import InputError, OptionError

Pairs: TypeAlias = tuple[str, str] | Iterable[Sequence[str]]


class RankedDocument(TypedDict):
    """One document of :meth:`~FlagEmbedding.AbsReranker.rank`.

    Attributes:
        index: Its place in the list that was given.
        corpus_id: The same, as a ``CrossEncoder`` calls it.
        score: Higher is more relevant.
        text: The document, unless it was not asked for.
    """

    index: int
    corpus_id: int
    score: float
    text: NotRequired[str]


class AbsReranker(AsCrossEncoder, Instructed, OnDevices, ABC):
    r"""A reranker: pairs of a query and a passage in, scores out.

    An author implements :meth:`compute_score_single_gpu`; instructions, input checks and ranking are here, once.

    Args:
        model_name_or_path: A local folder or a hub id.
        use_fp16: Half precision on accelerators; a CPU computes in float32 whatever this says.
        query_instruction_for_rerank: Put before queries through ``query_instruction_format``; None or ``""``: none.
        query_instruction_format: Two ``{}``: instruction, then query; ``\n`` may be written as two characters.
        passage_instruction_for_rerank: Put before passages.
        passage_instruction_format: Two ``{}``: instruction, then passage.
        devices: A device or several; None means every accelerator, or the CPU when there is none.
        batch_size: At most so many pairs in one forward.
        query_max_length: Tokens of a query that count; None means three quarters of ``max_length``.
        max_length: Tokens of a pair that count, special tokens included; None means the model's own limit, 8192 at
            most.
        normalize: Whether scores go through the sigmoid, so that they lie between 0 and 1.
        use_bf16: bfloat16 on every device, the CPU too; faster there, with an error of some 1e-2.
        device: The same as ``devices``, as other libraries spell it.
        **kwargs: None are known here; a class of its own takes its options out before.

    Raises:
        OptionError: An option is unknown or out of range.
        ConfigError: A format has not two ``{}``.
        DeviceError: A device is not present on this machine.
    """

    refuses_unknown_options: ClassVar[bool] = True

    def __init__(
        self,
        model_name_or_path: str,
        use_fp16: bool = False,
        query_instruction_for_rerank: str | None = None,
        query_instruction_format: str = "{}{}",
        passage_instruction_for_rerank: str | None = None,
        passage_instruction_format: str = "{}{}",
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        batch_size: int = 128,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool = False,
        *,
        use_bf16: bool = False,
        device: DeviceLike | Iterable[DeviceLike] | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_unknown(self, kwargs)
        self._set_devices(devices, device)
        self.model_name_or_path = model_name_or_path
        self.use_fp16 = use_fp16
        self.use_bf16 = use_bf16
        self.query_instruction_for_rerank = query_instruction_for_rerank
        self.query_instruction_format = check_format(query_instruction_format, "query_instruction_format")
        self.passage_instruction_for_rerank = passage_instruction_for_rerank
        self.passage_instruction_format = check_format(passage_instruction_format, "passage_instruction_format")
        self.batch_size = 128 if batch_size is None else check_count(batch_size, "batch_size")
        self.query_max_length = check_count(query_max_length, "query_max_length")
        self.max_length = check_count(max_length, "max_length")
        self.normalize = normalize

    def compute_score(self, sentence_pairs: Pairs, **kwargs: Any) -> Any:
        """Score pairs; a higher score means a more relevant passage.

        Args:
            sentence_pairs: One pair (query, passage), or any number of them, as tuples or lists.
            **kwargs: Options of :meth:`compute_score_single_gpu` for this call: ``batch_size``, ``query_max_length``,
                ``max_length``, ``normalize``, ...

        Returns:
            A float a pair, in order: a list also for one pair, and ``[]`` for none. One such list for each layer
            where a class is asked for the scores of several layers.

        Raises:
            InputError: Something is no pair of two strings; the message says which.
            OptionError: An option is unknown or out of range.
        """
        pairs, _ = as_pairs(sentence_pairs)
        return self._spread("compute_score_single_gpu", self.get_detailed_inputs(pairs), **kwargs)

    def _joined(self, results: Sequence[Any], parts: Sequence[Sequence[int]]) -> Any:
        if not any(isinstance(score, list) for score in results[0][:1]):
            return super()._joined(results, parts)
        # A list for each of several layers.
        return [super(AbsReranker, self)._joined(layer, parts) for layer in zip(*results, strict=True)]

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_n: int | None = None,
        return_documents: bool = True,
        *,
        top_k: int | None = None,
        activation_fn: Callable[[Tensor], Tensor] | None = None,
        **kwargs: Any,
    ) -> list[RankedDocument]:
        """Sort documents by their relevance to a query.

        Args:
            query: The query.
            documents: Any number of texts.
            top_n: Return so many documents at most; None means all.
            return_documents: Whether the texts come back, too.
            top_k: So many documents: the same as ``top_n``, as a ``CrossEncoder`` calls it.
            activation_fn: As for :meth:`predict`; None means scores as :meth:`compute_score` gives them.
            **kwargs: As for :meth:`compute_score` and :meth:`predict`.

        Returns:
            ``{"index", "corpus_id", "score", "text"}`` of each document, best first; equal scores in the order given.

        Raises:
            InputError: Something is no text.
            OptionError: An option is unknown or out of range; several layers are asked for.
            DeviceError: ``device=`` names one that is not present.
        """
        texts, single = as_texts(documents, "documents")
        if single or not isinstance(query, str):
            raise InputError("rank() takes one query (a string) and a list of documents.")
        if top_n is not None and top_k is not None:
            raise OptionError("give top_n= or top_k=, not both.")
        count = check_count(top_n, "top_n") or check_count(top_k, "top_k")
        pairs = [(query, text) for text in texts]
        if activation_fn is None:
            translate(kwargs)
            scores = one_score_a_pair(self.compute_score(pairs, **kwargs), "rank()")
        else:
            scores = self.predict(pairs, activation_fn=activation_fn, **kwargs).tolist()
        order = sorted(range(len(texts)), key=lambda index: -scores[index])[:count]
        hits = [RankedDocument(index=index, corpus_id=index, score=float(scores[index])) for index in order]
        return [{**hit, "text": texts[hit["index"]]} for hit in hits] if return_documents else hits

    def get_detailed_inputs(self, sentence_pairs: Sequence[Pair]) -> list[Pair]:
        """Return pairs with the instructions of this model before query and passage, where there are any.

        Args:
            sentence_pairs: Pairs (query, passage).

        Returns:
            As many pairs, in order.
        """
        queries = with_instruction(
            [query for query, _ in sentence_pairs], self.query_instruction_for_rerank, self.query_instruction_format
        )
        passages = with_instruction(
            [passage for _, passage in sentence_pairs],
            self.passage_instruction_for_rerank,
            self.passage_instruction_format,
        )
        return list(zip(queries, passages, strict=True))

    @abstractmethod
    def compute_score_single_gpu(
        self,
        sentence_pairs: list[Pair],
        batch_size: int | None = None,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool | None = None,
        device: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Score ready-made pairs on one device; what an author implements.

        The name is the one that programs and existing subclasses use; the device may well be a CPU.

        Args:
            sentence_pairs: Checked pairs, the instructions already in them.
            batch_size: At most so many pairs in one forward; None means the model's setting, as for what follows.
            query_max_length: Tokens of a query that count.
            max_length: Tokens of a pair that count.
            normalize: Whether scores go through the sigmoid.
            device: As torch spells it; None means the first of the model's devices.
            **kwargs: Further options of the class; unknown ones are an :class:`OptionError`.

        Returns:
            A float a pair, in order.
        """
