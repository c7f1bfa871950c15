"""The methods and attributes that programs know from a ``SentenceTransformer``, on every embedder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from FlagEmbedding.abc.inference.dialect import Finish, read_finish, with_progress
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.abc.inference.prompts import NamedPrompts
from FlagEmbedding.abc.inference.similarity import check_similarity, pairwise_similarities, similarities
from FlagEmbedding.model_config import is_count


class AsSentenceTransformer(NamedPrompts):
    """What :class:`~FlagEmbedding.abc.inference.AbsEmbedder` has under sentence-transformers' names."""

    query_max_length: int | None
    passage_max_length: int | None
    truncate_dim: int | None
    normalize_embeddings: bool
    encode: Callable[..., Any]
    encode_queries: Callable[..., Any]
    encode_corpus: Callable[..., Any]
    encode_single_device: Callable[..., Any]

    _similarity_fn_name: str | None = None
    _measured: tuple[int | None, int] | None = None

    def encode_query(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode queries, with the instruction that :meth:`encode_queries` puts before them.

        Args:
            inputs: One query, or any number of them.
            prompt_name: One of ``prompts``, in place of that instruction.
            prompt: What to put before each text, in place of that instruction; ``""`` means nothing.
            batch_size: At most so many texts in one forward; None means the model's setting.
            show_progress_bar: Whether to show one; None: where the logger ``FlagEmbedding`` is at INFO or DEBUG, and
                on a terminal if it takes long.
            **kwargs: The others of ``SentenceTransformer.encode_query``: ``precision``, ``convert_to_numpy``,
                ``convert_to_tensor``, ``device``, ``normalize_embeddings``, ``truncate_dim`` (``output_value``,
                ``pool`` and ``chunk_size`` may say nothing but their defaults); and those of :meth:`encode_queries`.

        Returns:
            float32 ``[dimension]`` for one query, ``[queries, dimension]`` for a sequence, in its order: numpy, or a
            tensor with ``convert_to_tensor=True``; with ``convert_to_numpy=False`` alone a list of tensors.

        Raises:
            InputError: Something is no text.
            OptionError: An option is unknown, out of range, or asks for what is not done here.
        """
        named = _named(prompt_name, prompt, batch_size, show_progress_bar)
        return self._as_theirs(self.encode_queries, inputs, {**named, **kwargs})

    def encode_document(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode passages, with the instruction that :meth:`encode_corpus` puts before them.

        Arguments, result and errors are those of :meth:`encode_query`.
        """
        named = _named(prompt_name, prompt, batch_size, show_progress_bar)
        return self._as_theirs(self.encode_corpus, inputs, {**named, **kwargs})

    @property
    def similarity_fn_name(self) -> str:
        """How :meth:`similarity` compares: ``"cosine"``, ``"dot"``, ``"euclidean"`` or ``"manhattan"``.

        Cosine, unless the model's ``config_sentence_transformers.json`` or the caller says otherwise.

        Raises:
            OptionError: Another one is assigned.
        """
        return check_similarity(self._similarity_fn_name)

    @similarity_fn_name.setter
    def similarity_fn_name(self, name: str | None) -> None:
        self._similarity_fn_name = check_similarity(name)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Return how alike each vector of ``embeddings1`` is to each of ``embeddings2``; more is more alike.

        Args:
            embeddings1: Numbers ``[n, dimension]``, or ``[dimension]`` for a single one: numpy, torch or a list of
                vectors.
            embeddings2: ``[m, dimension]``, likewise.

        Returns:
            A torch tensor ``[n, m]``, as sentence-transformers returns it: float32 unless both are float64.

        Raises:
            InputError: Something is no table of numbers, or the widths differ.
        """
        return similarities(self.similarity_fn_name, embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Tensor:
        """Return how alike ``embeddings1[i]`` is to ``embeddings2[i]``; more is more alike.

        Args:
            embeddings1: Numbers ``[n, dimension]``: numpy, torch or a list of vectors.
            embeddings2: As many, likewise.

        Returns:
            A torch tensor ``[n]``, float32 unless both are float64.

        Raises:
            InputError: Something is no table of numbers, or there are not as many of both.
        """
        return pairwise_similarities(self.similarity_fn_name, embeddings1, embeddings2)

    def get_embedding_dimension(self) -> int:
        """Return the length of the vectors, ``truncate_dim`` counted.

        A class that knows it has an attribute ``dimension``: the length before truncation. For any other one a short
        text is encoded once, to look.
        """
        width: Any = getattr(self, "dimension", None)
        if is_count(width):
            return int(width) if self.truncate_dim is None else min(width, self.truncate_dim)
        if self._measured is None or self._measured[0] != self.truncate_dim:
            self._measured = self.truncate_dim, len(self._dense_alone(self.encode, "a", {}))
        return self._measured[1]

    def get_sentence_embedding_dimension(self) -> int:
        """The same as :meth:`get_embedding_dimension`, as sentence-transformers called it before version 6."""
        return self.get_embedding_dimension()

    @contextlib.contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Keep fewer components within the block.

        Args:
            truncate_dim: So many leading components; None: all.

        Yields:
            Nothing; afterwards the setting is as it was.

        Raises:
            OptionError: It is no positive number.
        """
        before = self.truncate_dim
        self.truncate_dim = check_count(truncate_dim, "truncate_dim")
        try:
            yield
        finally:
            self.truncate_dim = before

    @property
    def max_seq_length(self) -> int | None:
        """Tokens of a passage that count, special tokens included; assigning it sets those of a query, too."""
        return self._longest_passage()

    @max_seq_length.setter
    def max_seq_length(self, length: int | None) -> None:
        self.query_max_length = self.passage_max_length = check_count(length, "max_seq_length")

    def _longest_passage(self) -> int | None:
        return self.passage_max_length

    def _as_theirs(self, encode: Callable[..., Any], inputs: Any, options: dict[str, Any]) -> Any:
        options = {name: value for name, value in options.items() if value is not None or name == "output_value"}
        options = with_progress(options, self.encode_single_device)
        in_a_list = options.get("convert_to_numpy") is False and not options.get("convert_to_tensor")
        if "out" in options:
            return self._dense_alone(encode, inputs, options)
        finish = read_finish(options)  # here, because what encode() gives may be more than vectors
        rows = self._dense_alone(encode, inputs, options)
        if isinstance(inputs, str):
            return self._finished(rows[None], finish)[0]
        rows = self._finished(rows, finish)
        return list(rows) if in_a_list else rows

    def _finished(self, rows: Any, finish: Finish) -> Any:
        return finish.quantized(rows if self.normalize_embeddings else finish.normalized(rows))

    def _dense_alone(self, encode: Callable[..., Any], texts: Any, options: dict[str, Any]) -> Any:
        """Return one vector a text; a class that gives several outputs leaves the others out here."""
        return encode(texts, **options)


def _named(
    prompt_name: str | None, prompt: str | None, batch_size: int | None, show_progress_bar: bool | None
) -> dict[str, Any]:
    return {
        "prompt_name": prompt_name,
        "prompt": prompt,
        "batch_size": batch_size,
        "show_progress_bar": show_progress_bar,
    }
