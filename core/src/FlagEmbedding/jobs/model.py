"""The model of a job: loaded, asked for its vectors, and known again."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from FlagEmbedding.engine.fingerprint import digest, model_files
from FlagEmbedding.errors import InputError, OptionError
from FlagEmbedding.inference.auto_embedder import FlagAutoModel
from FlagEmbedding.inference.loaded import LoadedModel
from FlagEmbedding.jobs.blocks import Block
from FlagEmbedding.jobs.outputs import KIND_OPTIONS, model_columns, table_of
from FlagEmbedding.jobs.rows import Reject, Rows, looked_at, without
from FlagEmbedding.jobs.settings import ID, EmbedJob

if TYPE_CHECKING:
    from FlagEmbedding.abc.inference import AbsEmbedder

_METHODS = {"passage": "encode_corpus", "query": "encode_queries", "text": "encode"}

_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model")

# Settings of a model that say nothing of its vectors, or nothing that the others do not say.
_INDIFFERENT = ("model_name_or_path", "batch_size", "convert_to_numpy", "use_fp16", "use_bf16", *KIND_OPTIONS.values())


@dataclass(frozen=True)
class Encoded:
    """A block that was computed.

    Attributes:
        block: Which.
        table: Its rows, as they are written.
        rejects: The rows that are left out.
    """

    block: Block
    table: pa.Table
    rejects: list[Reject]


class JobModel:
    """A model that does what a job asks for.

    Args:
        job: The job.

    Attributes:
        columns: What the model adds to the output, with types.
        devices: How many it has.
        accelerated: Whether it runs elsewhere than on the CPU.

    Raises:
        ValueError: The model is unknown, an option is not known, or it does not give what is asked for.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    def __init__(self, job: EmbedJob) -> None:
        self._job = job
        self._model: AbsEmbedder = FlagAutoModel.from_finetuned(
            job.model, devices=None if job.devices is None else list(job.devices), **job.model_options
        )
        self._encode = self._method()
        self.columns = pa.table(model_columns(self._encode(["a"]), job)).schema
        self.devices = len(self._model.target_devices)
        self.accelerated = self._model.target_devices[0] != "cpu"

    def close(self) -> None:
        """End the workers of the model."""
        self._model.close()

    def fingerprint(self) -> dict[str, Any]:
        """Return what makes the vectors what they are, as plain data: files by their SHA-256, settings by value."""
        model: Any = self._model
        settings = {name: value for name, value in model._settings().items() if name not in _INDIFFERENT}  # noqa: SLF001
        pooling = getattr(model, "pooling_method", None)
        return {
            "class": f"{type(model).__module__}:{type(model).__qualname__}",
            "precision": str(getattr(model, "_dtype", "unknown")).removeprefix("torch."),
            "pooling": pooling if isinstance(pooling, str | None) else getattr(pooling, "__qualname__", repr(pooling)),
            "settings": json.loads(json.dumps(settings, sort_keys=True, default=sorted)),
            "files": _digests(model) if isinstance(model, LoadedModel) else {},
        }

    def __call__(self, block: Block, schema: pa.Schema) -> Encoded:
        """Compute ``block``, read with the columns of ``schema``.

        Raises:
            InputError: A row is bad, and the job stops over it.
        """
        rows = looked_at(block, schema, self._job)
        try:
            result = self._computed(rows)
        except InputError:  # over a bad row; or over a text without a token, where a tokenizer adds none
            refused = self._refused(rows)
            if not refused:
                raise
            rows = without(rows, block, refused)
            result = self._computed(rows)
        return Encoded(block, self._table(rows, result, schema), rows.rejects)

    def schema(self, read: pa.Schema) -> pa.Schema:
        """Return the columns of the output for an input with the columns of ``read``."""
        kind = pa.int64() if self._job.id_column is None else read.field(self._job.id_column).type
        return pa.schema([(ID, kind), *(read.field(name) for name in self._job.columns), *self.columns])

    def _computed(self, rows: Rows) -> Any:
        if rows.rejects and self._job.on_error == "stop":
            raise rows.rejects[0].error()
        return self._encode(rows.texts) if rows.texts else None

    def _refused(self, rows: Rows) -> dict[int, str]:
        """Return why the model refuses texts, by number of their rows."""
        found = {}
        for number, text in zip(rows.numbers.tolist(), rows.texts, strict=True):
            try:
                if not text.strip():  # others would be refused before, or have tokens
                    self._encode([text])
            except InputError as error:
                found[number] = str(error)
        return found

    def _table(self, rows: Rows, result: Any, read: pa.Schema) -> pa.Table:
        if result is None:
            return self.schema(read).empty_table()
        return table_of(rows, result, self._job).cast(self.schema(read))

    def _method(self) -> Callable[[Sequence[str]], Any]:
        """Return the method that encodes, with what the job says of it."""
        job, method = self._job, getattr(self._model, _METHODS[self._job.role])
        options: dict[str, Any] = {"batch_size": job.batch_size, "max_length": job.max_length}
        options |= {"show_progress": False} if isinstance(self._model, LoadedModel) else {}
        known = inspect.signature(method).parameters
        if all(option in known for option in KIND_OPTIONS.values()):
            options |= {option: kind in job.outputs for kind, option in KIND_OPTIONS.items()}
        elif job.outputs != ("dense",):
            raise OptionError(
                f"{job.model!r} gives dense vectors only, and outputs asks for {', '.join(job.outputs)}. Leave outputs "
                f"out, or take a model that has them."
            )
        return functools.partial(method, convert_to_numpy=True, **options)


def _digests(model: Any) -> dict[str, str]:
    """Return the SHA-256 of every file that the model is loaded from, by its name in the folder."""
    folder: Path = model._checkpoint.folder  # noqa: SLF001 - no caller is to see it, and this is none
    parts = [folder / name for _, name in getattr(model, "modules", ()) if name]
    patterns = (*_TOKENIZER, *type(model).extra_files)
    more = (path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    paths = {*model_files(folder), *more, *(path for part in parts for path in model_files(part))}
    return {path.relative_to(folder).as_posix(): digest(path) for path in sorted(paths)}


def identity(fingerprint: Mapping[str, Any]) -> str:
    """Return a fingerprint in 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
