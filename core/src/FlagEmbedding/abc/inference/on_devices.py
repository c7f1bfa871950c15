"""Work on the model's devices: on the first of them in this process, or on all of them where that pays."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

import torch

from FlagEmbedding.engine.devices import DeviceLike, requested_devices, target_devices
from FlagEmbedding.engine.progress import progress_bar
from FlagEmbedding.engine.workers.pool import WorkerPool
from FlagEmbedding.engine.workers.sharing import joined, shares
from FlagEmbedding.errors import FlagEmbeddingError

logger = logging.getLogger(__name__)

# With fewer inputs than this nobody wants to wait for a second process, let alone for its start.
_FEW = 128
# Where nobody named the devices, the first inputs are timed on one of them. A worker takes some ten seconds to start,
# so what is left must take longer than this for the others to be touched.
_SAMPLE = 1024
_PAYS_S = 30.0

_PROGRESS = ("show_progress", "show_progress_bar")

_starting = threading.Lock()

T = TypeVar("T")


class Derived(Generic[T]):
    """An attribute that is computed when it is read, unless a class of one's own has set one of that name."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...

    @overload
    def __get__(self, model: object, owner: type) -> T: ...

    def __get__(self, model: object | None, owner: type) -> Self | T:
        return self if model is None else self._compute(model)


def _device(model: OnDevices) -> torch.device:
    return torch.device(model._current_device())  # noqa: SLF001 - of this module


class OnDevices:
    """What embedders and rerankers have in common: devices, and workers on them that are started when they pay.

    Attributes:
        target_devices: As torch spells them. The first is used in this process; all of them, by a worker each, for
            128 inputs and more if the caller named them, else for what takes more than half a minute.
        device: Where the model is in this process.
    """

    device: ClassVar[Derived[torch.device]] = Derived(_device)

    target_devices: list[str]
    _named: bool = True
    _worker_pool: WorkerPool | None = None

    def _set_devices(
        self, devices: DeviceLike | Iterable[DeviceLike] | None, device: DeviceLike | Iterable[DeviceLike] | None
    ) -> None:
        self.target_devices = requested_devices(devices, device)
        self._named = devices is not None or device is not None

    def _current_device(self) -> str:
        return self.target_devices[0]

    @staticmethod
    def get_target_devices(devices: DeviceLike | Iterable[DeviceLike] | None = None) -> list[str]:
        """Return devices as torch spells them.

        Args:
            devices: A name, a number, a ``torch.device``, or several of these; None means every accelerator, or the
                CPU when there is none.

        Returns:
            Their names (``"cuda:0"``), in order.

        Raises:
            DeviceError: A device is misspelt or not present.
        """
        return target_devices(devices)

    def close(self) -> None:
        """End the workers, if there are any. The model stays as it is, and would start others when they pay."""
        pool, self._worker_pool = self._worker_pool, None
        if pool is not None:
            pool.close()

    def stop_self_pool(self) -> None:
        """The same as :meth:`close`, as the FlagEmbedding package calls it."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _spread(self, method: str, inputs: Sequence[Any], **options: Any) -> Any:
        """Call a method of this model that takes inputs and a ``device``, on one device or on all of them."""
        if len(self.target_devices) == 1 or len(inputs) < _FEW or "device" in options or self._may_not_leave():
            return self._here(method, inputs, options)
        if self._named or self._worker_pool is not None:
            return self._there(method, inputs, options)
        sample, rest = inputs[:_SAMPLE], inputs[_SAMPLE:]
        start = time.perf_counter()
        results = [self._here(method, sample, options)]
        if rest:
            seconds = (time.perf_counter() - start) / len(sample) * len(rest)
            results.append((self._there if seconds > _PAYS_S else self._here)(method, rest, options))
        parts = [range(len(sample)), range(len(sample), len(inputs))]
        return self._joined(results, parts[: len(results)])

    def _may_not_leave(self) -> bool:
        """Say whether this is a daemon, which may have no children, and nobody has asked for several devices."""
        return not self._named and multiprocessing.current_process().daemon

    def _here(self, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
        return getattr(self, method)(inputs, **{"device": self.target_devices[0], **options})

    def _there(self, method: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
        parts = shares(inputs, len(self.target_devices))
        shown = next((options[name] for name in _PROGRESS if name in options), None)
        # A worker that would show a bar of its own is told not to; a class that knows no bars is told nothing.
        quiet = {**options, **{name: False for name in _PROGRESS if name in options}}
        task = {"method": method, "settings": self._settings(), "options": quiet}
        with progress_bar(len(inputs), shown) as bar:
            results = self._workers().run(
                "_work",
                [[inputs[position] for position in part] for part in parts],
                task,
                done=lambda part: bar.update(len(parts[part])),
            )
        return self._joined(results, parts)

    def _work(
        self, inputs: list[Any], *, method: str, settings: Mapping[str, Any], options: Mapping[str, Any], device: str
    ) -> Any:
        """Do one part, in a worker: with the settings that the caller's model has now."""
        vars(self).update(settings)
        try:
            return getattr(self, method)(inputs, device=device, **options)
        except FlagEmbeddingError as error:
            error.add_note(f"Numbers count the {len(inputs)} inputs of one worker: the first is {inputs[0]!r:.200}.")
            raise

    def _joined(self, results: Sequence[Any], parts: Sequence[Sequence[int]]) -> Any:
        """Return the results of parts as the result for all inputs."""
        return joined(results, parts)

    def _workers(self) -> WorkerPool:
        with _starting:
            if self._worker_pool is None:
                # Of a copy: a pool that refers to the model itself would keep it alive.
                self._worker_pool = WorkerPool(functools.partial(_replica, self._twin()), self.target_devices)
            return self._worker_pool

    def _twin(self) -> Self:
        """Return a shallow copy without workers."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin._worker_pool = None
        return twin

    def _on(self, device: str) -> None:
        """Let this model be loaded on ``device`` alone, when it is unpickled there."""
        self.target_devices = [device]

    def _settings(self) -> dict[str, Any]:
        """Return the public attributes that are plain data, which may have changed since the workers were started."""
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {name: value for name, value in public.items() if name != "target_devices" and _is_plain(value)}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the workers: a copy starts its own."""
        return {name: value for name, value in vars(self).items() if name != "_worker_pool"}


def _replica(twin: OnDevices, device: str) -> OnDevices:
    replica = twin._twin()  # noqa: SLF001 -- of this module
    replica._on(device)  # noqa: SLF001
    return replica


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, (*value.keys(), *value.values())))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
