"""A model's place: the device that it is on, what travels to workers, and what a copy is made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch

from FlagEmbedding.abc.inference.on_devices import OnDevices
from FlagEmbedding.engine.devices import DeviceLike, target_devices
from FlagEmbedding.engine.precision import compute_dtype
from FlagEmbedding.engine.room import Room

_NOWHERE = "nowhere"


class PlacedModel(OnDevices):
    """A network on one device at a time. It moves when a call names another one.

    Calls in several threads are fine as long as they name no other device.
    """

    set_up_anew: ClassVar[tuple[str, ...]] = ("_forward", "_engine", "_vocabulary")
    """Attributes that :meth:`_set_up` makes."""

    use_fp16: bool
    use_bf16: bool
    _device: str
    _dtype: torch.dtype
    _room: Room
    _network: Any = None
    _handed_out: bool = False
    _runs_foreign_code: bool = False

    @abstractmethod
    def _set_up(self, network: Any) -> None:
        """Prepare what runs, once the network is on ``_device``."""

    @abstractmethod
    def _to_place(self) -> Any:
        """Return the network that is to run; None where another engine runs."""

    def _spread(self, method: str, inputs: Sequence[Any], **options: Any) -> Any:
        # A caller who holds the network may change it at any time, which no worker would hear of.
        return self._here(method, inputs, options) if self._handed_out else super()._spread(method, inputs, **options)

    def _move_to(self, device: DeviceLike) -> None:
        """Put the model on ``device``, if it is elsewhere.

        Raises:
            DeviceError: It is misspelt or not present.
        """
        if device == self._device:
            return
        (wanted,) = target_devices(device)
        if wanted != self._device:
            self._compute_as_on(wanted)
            self._place(wanted, self._to_place())

    def _current_device(self) -> str:
        return self._device

    def _on(self, device: str) -> None:
        super()._on(device)
        self._compute_as_on(device)
        self._device = device

    def _compute_as_on(self, device: str) -> None:
        """Drop weights of another dtype than ``device`` is to compute in; a caller's network stays as it is."""
        dtype = compute_dtype(device, self.use_fp16, self.use_bf16)
        if dtype != self._dtype and not self._handed_out:
            self._dtype, self._network = dtype, None

    def _place(self, device: str, network: Any) -> None:
        self._device = _NOWHERE  # until all is done: the next call then tries again
        self._network = None if network is None else network.to(device)
        self._room = Room(device, side_by_side=not (self._handed_out or self._runs_foreign_code))
        self._set_up_on(device)

    def _set_up_on(self, device: str) -> None:
        self._device = device
        try:
            self._set_up(self._network)
        except BaseException:
            self._device = _NOWHERE
            raise

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in super()._settings().items() if name not in ("engine", "packs")}

    def _twin(self) -> Self:
        """Return a copy without workers and without what runs, which would outlive a move."""
        twin = super()._twin()
        kept = self.__getstate__()
        vars(twin).clear()
        vars(twin).update(kept)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what runs: it is set up anew from the checkpoint's files.

        The network goes with a copy only if it was handed out, for then the caller may have changed it.
        """
        kept = {name: value for name, value in super().__getstate__().items() if name not in self.set_up_anew}
        return kept if self._handed_out else kept | {"_network": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._place(self._device, self._to_place())
