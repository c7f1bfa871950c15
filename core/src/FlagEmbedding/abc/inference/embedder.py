"""The contract of an embedder, and the one template of ``encode``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch

from FlagEmbedding.abc.inference.as_sentence_transformer import AsSentenceTransformer
from FlagEmbedding.abc.inference.dialect import read_finish, translate
from FlagEmbedding.abc.inference.instructions import Instructed, check_format, with_instruction
from FlagEmbedding.abc.inference.on_devices import OnDevices
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.abc.inference.prompts import check_prompts
from FlagEmbedding.abc.inference.quantization import FULL
from FlagEmbedding.abc.inference.similarity import check_similarity
from FlagEmbedding.abc.inference.streaming import fill, text_blocks
from FlagEmbedding.construction import refuse_unknown
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.texts import as_texts
from FlagEmbedding.errors import OptionError

Texts: TypeAlias = str | Iterable[str]
BLOCK = 16384
"""Texts that are read and encoded at a time where there may be any number of them."""

Vectors: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]] | torch.Tensor"


class AbsEmbedder(AsSentenceTransformer, Instructed, OnDevices, ABC):
    r"""An embedding model: texts in, vectors out.

    An author implements :meth:`encode_single_device`; instructions, input checks and defaults are here, once.
    ``encode_query``, ``similarity`` and what else a ``SentenceTransformer`` has are
    :class:`~FlagEmbedding.abc.inference.as_sentence_transformer.AsSentenceTransformer`'s.

    Args:
        model_name_or_path: A local folder or a hub id.
        normalize_embeddings: Whether vectors have length 1.
        use_fp16: Half precision on accelerators; a CPU computes in float32 whatever this says.
        use_bf16: bfloat16 on every device, the CPU too; faster there, with an error of some 1e-3.
        query_instruction_for_retrieval: Put before queries through ``query_instruction_format``; None or ``""``: none.
        query_instruction_format: Two ``{}``: instruction, then query; ``\n`` may be written as two characters.
        devices: A device or several; None means every accelerator, or the CPU when there is none.
        batch_size: At most so many texts in one forward.
        query_max_length: Tokens of a query that count, special tokens included; None means the model's own limit,
            8192 at most.
        passage_max_length: The same for passages, and for :meth:`encode`.
        convert_to_numpy: numpy arrays, or else torch tensors (on the CPU).
        truncate_dim: Keep so many leading components (before normalising), for models trained for it.
        passage_instruction_for_retrieval: Put before passages.
        passage_instruction_format: Two ``{}``: instruction, then passage.
        device: The same as ``devices``, as other libraries spell it.
        prompts: What :meth:`encode` puts before texts when it is told ``prompt_name=``, by name. What goes before
            queries and passages is said with the instructions.
        similarity_fn_name: How :meth:`similarity` compares: ``"cosine"`` (None means that), ``"dot"``,
            ``"euclidean"`` or ``"manhattan"``.
        **kwargs: None are known here; a class of its own takes its options out before.

    Raises:
        OptionError: An option is unknown or out of range.
        ConfigError: A format has not two ``{}``.
        DeviceError: A device is not present on this machine.
    """

    refuses_unknown_options: ClassVar[bool] = True

    default_instruction: str | None = None
    """What :meth:`encode` puts before a text, where a call names no instruction."""

    def __init__(
        self,
        model_name_or_path: str,
        normalize_embeddings: bool = True,
        use_fp16: bool = True,
        use_bf16: bool = False,
        query_instruction_for_retrieval: str | None = None,
        query_instruction_format: str = "{}{}",
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        batch_size: int = 256,
        query_max_length: int | None = None,
        passage_max_length: int | None = None,
        convert_to_numpy: bool = True,
        truncate_dim: int | None = None,
        *,
        passage_instruction_for_retrieval: str | None = None,
        passage_instruction_format: str = "{}{}",
        device: DeviceLike | Iterable[DeviceLike] | None = None,
        prompts: Mapping[str, str] | None = None,
        similarity_fn_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_unknown(self, kwargs)
        self._set_devices(devices, device)
        self.model_name_or_path = model_name_or_path
        self.normalize_embeddings = normalize_embeddings
        self.use_fp16 = use_fp16
        self.use_bf16 = use_bf16
        self.query_instruction_for_retrieval = query_instruction_for_retrieval
        self.query_instruction_format = check_format(query_instruction_format, "query_instruction_format")
        self.passage_instruction_for_retrieval = passage_instruction_for_retrieval
        self.passage_instruction_format = check_format(passage_instruction_format, "passage_instruction_format")
        self.batch_size = 256 if batch_size is None else check_count(batch_size, "batch_size")
        self.query_max_length = check_count(query_max_length, "query_max_length")
        self.passage_max_length = check_count(passage_max_length, "passage_max_length")
        self.convert_to_numpy = convert_to_numpy
        self.truncate_dim = check_count(truncate_dim, "truncate_dim")
        self._named_prompts = check_prompts(prompts)
        self._similarity_fn_name = check_similarity(similarity_fn_name)

    def encode_queries(
        self,
        queries: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        convert_to_numpy: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode queries, with the query instruction where there is one.

        Args:
            queries: One query, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a query that count, special tokens included (``query_max_length``).
            convert_to_numpy: numpy, or else torch.
            **kwargs: As for :meth:`encode`.

        Returns:
            float32 ``[dimension]`` for one query, ``[queries, dimension]`` for a sequence, in its order.

        Raises:
            InputError: Something in ``queries`` is no text.
            OptionError: An option is unknown or out of range.
        """
        instruction = self.query_instruction_for_retrieval, self.query_instruction_format
        length = self.query_max_length if max_length is None else max_length
        return self._encode(queries, *instruction, batch_size, length, convert_to_numpy, kwargs)

    def encode_corpus(
        self,
        corpus: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        convert_to_numpy: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode passages, with the passage instruction where there is one.

        Args:
            corpus: One passage, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a passage that count, special tokens included (``passage_max_length``).
            convert_to_numpy: numpy, or else torch.
            **kwargs: As for :meth:`encode`; ``out`` among them, for more passages than memory holds.

        Returns:
            float32 ``[dimension]`` for one passage, ``[passages, dimension]`` for a sequence, in its order.

        Raises:
            InputError: Something in ``corpus`` is no text.
            OptionError: An option is unknown or out of range.
        """
        instruction = self.passage_instruction_for_retrieval, self.passage_instruction_format
        length = self.passage_max_length if max_length is None else max_length
        return self._encode(corpus, *instruction, batch_size, length, convert_to_numpy, kwargs)

    def encode_iter(self, corpus: Iterable[str], *, block_size: int | None = BLOCK, **kwargs: Any) -> Iterator[Any]:
        """Encode a corpus of any length in bounded memory, reading no further ahead than a block.

        Args:
            corpus: Passages; an iterator will do.
            block_size: Passages of a block; None means the default. Equal ones are computed once within a block, and a
                block is sorted by length to save padding, so it should not be small.
            **kwargs: As for :meth:`encode_corpus`.

        Yields:
            What :meth:`encode_corpus` returns for the passages of a block, in their order.

        Raises:
            InputError: Something in ``corpus`` is no text.
            OptionError: An option is unknown or out of range.
        """
        for block in text_blocks(corpus, check_count(block_size, "block_size") or BLOCK, "corpus"):
            yield self.encode_corpus(block, **kwargs)

    def encode(
        self,
        sentences: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        convert_to_numpy: bool | None = None,
        instruction: str | None = None,
        instruction_format: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode texts as they are, or with an instruction: the one given here, else ``default_instruction``.

        Args:
            sentences: One text, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a text that count, special tokens included (``passage_max_length``).
            convert_to_numpy: numpy, or else torch.
            instruction: Put before each text through ``instruction_format``; ``""`` means none.
            instruction_format: Two ``{}``; None means ``"{}{}"``.
            **kwargs: ``out``, a floating-point array ``[texts, dimension]`` (a ``numpy.memmap``, say) that the vectors
                are written into and that is returned; texts that come from an iterator are then read block by block,
                so that neither they nor their vectors have to fit into memory. ``prompt`` or ``prompt_name`` (one of
                ``prompts``), in place of the instruction; ``convert_to_tensor``; ``precision``;
                ``normalize_embeddings=True``, for vectors of length 1 from a model that was loaded without. And the
                options of :meth:`encode_single_device`.

        Returns:
            float32 ``[dimension]`` for one text, ``[texts, dimension]`` for a sequence, in its order.

        Raises:
            InputError: Something in ``sentences`` is no text.
            OptionError: An option is unknown or out of range.
        """
        if instruction is not None and any(kwargs.get(name) is not None for name in ("prompt", "prompt_name")):
            raise OptionError("give instruction= or prompt= (prompt_name=), not both.")
        said = self.default_instruction if instruction is None else instruction
        length = self.passage_max_length if max_length is None else max_length
        return self._encode(sentences, said, instruction_format, batch_size, length, convert_to_numpy, kwargs)

    def _encode(
        self,
        sentences: Texts,
        instruction: str | None,
        instruction_format: str | None,
        batch_size: int | None,
        max_length: int | None,
        convert_to_numpy: bool | None,
        options: dict[str, Any],
    ) -> Any:
        out = options.pop("out", None)
        before = self._prompted(options) or (instruction, instruction_format)
        finish = read_finish(options)
        translate(options)
        settings = {
            "batch_size": self.batch_size if batch_size is None else check_count(batch_size, "batch_size"),
            "max_length": check_count(max_length, "max_length"),
            "convert_to_numpy": self.convert_to_numpy if convert_to_numpy is None else convert_to_numpy,
            **options,
        }

        def rows_of(texts: list[str]) -> Any:
            rows = self._spread("encode_single_device", with_instruction(texts, *before), **settings)
            return rows if self.normalize_embeddings else finish.normalized(rows)

        if out is not None:
            if finish.precision != FULL:
                raise OptionError(f"out= takes float vectors, and precision={finish.precision!r} gives none.")
            return fill(out, sentences, BLOCK, rows_of)
        texts, single = as_texts(sentences)
        rows = finish.quantized(rows_of(texts))
        return self.first_row(rows) if single else rows

    @abstractmethod
    def encode_single_device(
        self,
        sentences: list[str],
        batch_size: int = 256,
        max_length: int | None = None,
        convert_to_numpy: bool = True,
        device: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode ready-made texts on one device; what an author implements.

        Args:
            sentences: Checked texts, the instruction already in them.
            batch_size: At most so many texts in one forward.
            max_length: Tokens of a text that count; None means the model's own limit.
            convert_to_numpy: numpy, or else torch.
            device: As torch spells it; None means the first of the model's devices.
            **kwargs: Further options of the class; unknown ones are an :class:`OptionError`.

        Returns:
            One row a text, in order: float32 ``[texts, dimension]``, unless the class gives something else.
        """

    def first_row(self, rows: Any) -> Any:
        """Return the result for a single text.

        Args:
            rows: What :meth:`encode_single_device` gave for a list of one text.

        Returns:
            float32 ``[dimension]``, unless the class gives something else.
        """
        return rows[0]
