"""How an M3 model encodes: the heads that are asked for, on one forward a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from FlagEmbedding.abc.inference.embedder import Texts
from FlagEmbedding.errors import OptionError
from FlagEmbedding.inference.embedder.dense import DenseEmbedder
from FlagEmbedding.spelling import reject_unknown_options
from flagembedding_bge import m3_model, m3_outputs

_RUN_OPTIONS = ("convert_to_numpy", "show_progress", "show_progress_bar", "truncate_dim")
_NAMED_OPTIONS = ("batch_size", "device", "instruction", "instruction_format", "max_length", *m3_outputs.KIND_OPTIONS)


class M3Encoding(DenseEmbedder):
    """The encode methods of an M3 model; :class:`~flagembedding_bge.m3.M3Embedder` loads one."""

    return_dense: bool
    return_sparse: bool
    return_colbert_vecs: bool
    _unused_tokens: frozenset[int]

    def encode_queries(  # type: ignore[override]  # the order of upstream's M3, for calls by position
        self,
        queries: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        return_dense: bool | None = None,
        return_sparse: bool | None = None,
        return_colbert_vecs: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Encode queries, with the query instruction where there is one.

        The result and the errors are those of :meth:`encode`.

        Args:
            queries: One query, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a query that count, special tokens included (``query_max_length``).
            return_dense: Whether to give dense vectors.
            return_sparse: Whether to give lexical weights.
            return_colbert_vecs: Whether to give ColBERT vectors.
            **kwargs: Those of :meth:`encode_single_device`.
        """
        kinds = self._kinds(return_dense, return_sparse, return_colbert_vecs)
        result: dict[str, Any] = super().encode_queries(queries, batch_size, max_length, **kinds, **kwargs)
        return result

    def encode_corpus(  # type: ignore[override]  # likewise
        self,
        corpus: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        return_dense: bool | None = None,
        return_sparse: bool | None = None,
        return_colbert_vecs: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Encode passages, with the passage instruction where there is one.

        The result and the errors are those of :meth:`encode`.

        Args:
            corpus: One passage, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a passage that count, special tokens included (``passage_max_length``).
            return_dense: Whether to give dense vectors.
            return_sparse: Whether to give lexical weights.
            return_colbert_vecs: Whether to give ColBERT vectors.
            **kwargs: Those of :meth:`encode_single_device`.
        """
        kinds = self._kinds(return_dense, return_sparse, return_colbert_vecs)
        result: dict[str, Any] = super().encode_corpus(corpus, batch_size, max_length, **kinds, **kwargs)
        return result

    def encode(  # type: ignore[override]  # likewise
        self,
        sentences: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        return_dense: bool | None = None,
        return_sparse: bool | None = None,
        return_colbert_vecs: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Encode texts as they are.

        Args:
            sentences: One text, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a text that count, special tokens included (``passage_max_length``).
            return_dense: Whether to give dense vectors.
            return_sparse: Whether to give lexical weights.
            return_colbert_vecs: Whether to give ColBERT vectors.
            **kwargs: ``instruction``, ``instruction_format``, and those of :meth:`encode_single_device`.

        Returns:
            What :meth:`encode_single_device` returns; for one text the vector, the dict and the matrix themselves.

        Raises:
            InputError: Something in ``sentences`` is no text.
            OptionError: An option is unknown or out of range, or nothing at all is asked for.
            CheckpointError: The checkpoint has no head for what is asked.
            NotFiniteError: What was computed holds NaN or infinity.
        """
        kinds = self._kinds(return_dense, return_sparse, return_colbert_vecs)
        result: dict[str, Any] = super().encode(sentences, batch_size, max_length, **kinds, **kwargs)
        return result

    def encode_single_device(  # type: ignore[override]  # likewise
        self,
        sentences: list[str],
        batch_size: int = 256,
        max_length: int | None = None,
        return_dense: bool = True,
        return_sparse: bool = False,
        return_colbert_vecs: bool = False,
        device: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Encode ready-made texts on one device, every kind from the same forward.

        Args:
            sentences: The texts, instruction included.
            batch_size: At most so many texts in one forward.
            max_length: Tokens of a text that count; never more than the model has positions for.
            return_dense: Whether to give dense vectors.
            return_sparse: Whether to give lexical weights.
            return_colbert_vecs: Whether to give ColBERT vectors.
            device: As torch spells it; the model moves there if it is elsewhere.
            **kwargs: ``convert_to_numpy``, ``truncate_dim``, ``show_progress`` (also ``show_progress_bar``).

        Returns:
            Each key is there, with None where it was not asked for:
            ``dense_vecs``, float32 ``[texts, dimension]``;
            ``lexical_weights``, one dict a text: token id as a string to its weight, a positive numpy float32, the
            largest where it occurs twice, without the special tokens;
            ``colbert_vecs``, one float32 ``[tokens - 1, width]`` a text: all tokens but the first.
        """
        unknown = {name: value for name, value in kwargs.items() if name not in _RUN_OPTIONS}
        reject_unknown_options(unknown, (*_RUN_OPTIONS, *_NAMED_OPTIONS), "encode")
        truncate_dim = kwargs.get("truncate_dim") or self.truncate_dim
        width = self._check_dimension(truncate_dim)
        heads = self._heads((return_dense, return_sparse, return_colbert_vecs), width, truncate_dim)
        sink = m3_outputs.M3Sink(len(sentences), width, heads)
        self._engine_on(device or self.target_devices[0]).run(
            sentences,
            m3_outputs.JointHead(heads),
            sink,
            max_length=self._token_limit(max_length),
            batch_size=batch_size,
            show_progress=kwargs.get("show_progress", kwargs.get("show_progress_bar")),
        )
        sink.check_finite(str(self.model_name_or_path), self._dtype)
        return sink.result(as_numpy=kwargs.get("convert_to_numpy", True))

    def _set_up(self, network: m3_model.M3Model) -> None:
        self._sparse, self._colbert = network.sparse_linear, network.colbert_linear
        super()._set_up(network.model)

    def first_row(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Return each kind's result for the only text.

        Args:
            rows: What :meth:`encode_single_device` gave for a list of one text.

        Returns:
            The same keys: ``dense_vecs``, float32 ``[dimension]``, the dict of ``lexical_weights``, and
            ``colbert_vecs``, float32 ``[tokens - 1, width]``.
        """
        return {kind: None if values is None else values[0] for kind, values in rows.items()}

    def _dense_alone(self, encode: Callable[..., Any], texts: Any, options: dict[str, Any]) -> Any:
        kinds = dict.fromkeys(m3_outputs.KIND_OPTIONS, False) | {"return_dense": True}
        return encode(texts, **kinds, **options)[m3_outputs.DENSE]

    def _kinds(self, *asked: bool | None) -> dict[str, Any]:
        """Return the kinds that are asked for, by option; the model's own setting stands for None."""
        own = (self.return_dense, self.return_sparse, self.return_colbert_vecs)
        wanted = [default if value is None else value for default, value in zip(own, asked, strict=True)]
        return dict(zip(m3_outputs.KIND_OPTIONS, wanted, strict=True))

    def _heads(
        self, wanted: tuple[bool, bool, bool], width: int, colbert_width: int | None
    ) -> dict[str, Callable[[Any], Any]]:
        dense, sparse, colbert = wanted
        heads: dict[str, Callable[[Any], Any]] = {}
        if dense:
            heads[m3_outputs.DENSE] = functools.partial(self._vectors, width=width)
        if sparse:
            heads[m3_outputs.LEXICAL] = m3_outputs.LexicalHead(m3_model.present(self._sparse), self._unused_tokens)
        if colbert:
            linear, normalize = m3_model.present(self._colbert), self.normalize_embeddings
            heads[m3_outputs.MULTI] = m3_outputs.MultiVectorHead(linear, colbert_width, normalize=normalize)
        if not heads:
            raise OptionError(f"nothing is asked for: give one of {', '.join(m3_outputs.KIND_OPTIONS)} as True.")
        return heads
