"""A job as its caller describes it: what is read, what is computed, where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.errors import OptionError

OUTPUTS = ("dense", "sparse", "colbert")
DTYPES = ("float32", "float16", "int8")
ROLES = ("passage", "query", "text")
FORMATS = ("parquet", "jsonl", "csv", "tsv", "text")
ON_ERROR = ("stop", "reject")

ID, EMBEDDING = "id", "embedding"
RESERVED = (ID, EMBEDDING, "embedding_scale", "sparse", "colbert", "colbert_scale")
"""The columns that a job writes of its own."""

_BLOCK = 4096  # what the engine sorts by length at a time
_MATRIX_BLOCK = 256  # a text of 200 tokens has some 0.8 MB of ColBERT vectors

# What may differ when a job goes on: it changes neither which rows there are nor, beyond 1e-6, their vectors.
_FREE = (
    *("inputs", "output", "model", "model_options"),  # the files and the weights are compared, wherever they are
    *("on_error", "batch_size", "block_size", "devices", "show_progress"),
)


@dataclass(frozen=True)
class EmbedJob:
    """A corpus to be embedded; :func:`~FlagEmbedding.jobs.run` does it here, :mod:`FlagEmbedding.jobs.ray` on Ray.

    Attributes:
        inputs: Files, folders and globs, as paths or as URLs that fsspec knows; their rows are taken in this order, the
            files of a folder or a glob by name.
        output: A folder, or a URL of one; only this job may write there.
        model: A registered name, a hub id or a local folder.
        model_options: Further arguments of :meth:`~FlagEmbedding.FlagAutoModel.from_finetuned`.
        text_column: Where a row has its text; a text file has nothing else.
        id_column: Where a row has its id, which is written as ``id``; None: ids are the numbers of the rows.
        columns: Further columns that are written as they are read.
        outputs: Some of ``"dense"``, ``"sparse"`` and ``"colbert"``; the last two of models that have them (M3).
        dtype: Of the vectors: ``"float32"``, ``"float16"``, or ``"int8"``, each vector then with the scale that gives
            its numbers back.
        role: ``"passage"``, ``"query"`` or ``"text"``: which instruction of the model goes before each text.
        max_length: Tokens of a text that count; None means the model's setting.
        max_characters: A longer text is a bad row; None: none is too long, and what is beyond ``max_length`` is cut.
        shard_size: Rows of the input that make one file of the output.
        block_size: Rows that are computed at a time; None: 4096 a device, 256 with ColBERT vectors.
        on_error: What a bad row does: ``"stop"`` the job, or ``"reject"`` it, into a file with the reason.
        format: Of all input files; None: by their names.
        hash_input: Know the input again by its content, which is read once more, not by size and time.
        batch_size: At most so many texts in one forward.
        devices: A worker each where there are several; None means every accelerator, or the CPU.
        show_progress: None: on a terminal, if it takes long.

    Raises:
        OptionError: A value is out of range, or two of them do not go together.
    """

    inputs: tuple[str, ...]
    output: str
    model: str
    model_options: Mapping[str, Any] = field(default_factory=dict)
    text_column: str = "text"
    id_column: str | None = None
    columns: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("dense",)
    dtype: str = "float32"
    role: str = "passage"
    max_length: int | None = None
    max_characters: int | None = None
    shard_size: int = 16384
    block_size: int | None = None
    on_error: str = "stop"
    format: str | None = None
    hash_input: bool = False
    batch_size: int | None = None
    devices: tuple[str, ...] | None = None
    show_progress: bool | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "columns", "outputs", "devices"):
            object.__setattr__(self, name, _as_tuple(getattr(self, name)))
        for name in ("max_length", "max_characters", "shard_size", "block_size", "batch_size"):
            check_count(getattr(self, name), name)
        self._check_choices()
        self._check_columns()

    def _check_choices(self) -> None:
        if not self.inputs:
            raise OptionError("inputs names no file. Give paths, folders, globs or URLs.")
        if not self.outputs:
            raise OptionError(f"outputs is empty: give some of {', '.join(OUTPUTS)}.")
        for output in self.outputs:
            _check_choice(output, "outputs", OUTPUTS)
        for name, known in (("dtype", DTYPES), ("role", ROLES), ("on_error", ON_ERROR)):
            _check_choice(getattr(self, name), name, known)
        if self.format is not None:
            _check_choice(self.format, "format", FORMATS)

    def _check_columns(self) -> None:
        for column in self.columns:
            if column in RESERVED:
                raise OptionError(
                    f"the column {column!r} cannot be kept: the output has one of its own of that name "
                    f"({', '.join(RESERVED)}). Rename it in the input; ids are named with id_column."
                )
            if self.columns.count(column) > 1:
                raise OptionError(f"columns names {column!r} twice.")

    def compared(self) -> dict[str, Any]:
        """Return the settings that must be the same when a job goes on."""
        kept = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _FREE}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}

    def rows_at_a_time(self, devices: int) -> int:
        """Return how many rows are computed together on so many devices."""
        return self.block_size or (_MATRIX_BLOCK if "colbert" in self.outputs else _BLOCK) * devices


def _as_tuple(value: Any) -> Any:
    if value is None:
        return None
    return (str(value),) if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(map(str, value))


def _check_choice(value: object, name: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise OptionError(f"{name} is one of {', '.join(known)}, not {value!r}.")
