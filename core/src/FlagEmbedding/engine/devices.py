"""Devices: what the caller may write, and what this machine has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import torch

from FlagEmbedding.errors import DeviceError, OptionError

DeviceLike: TypeAlias = str | int | torch.device

_ACCELERATORS = ("cuda", "npu", "musa", "xpu", "mps")


def requested_devices(
    devices: DeviceLike | Iterable[DeviceLike] | None, device: DeviceLike | Iterable[DeviceLike] | None
) -> list[str]:
    """Return what a constructor's ``devices=`` or, as other libraries spell it, ``device=`` asks for.

    Raises:
        OptionError: Both are given.
        DeviceError: See :func:`target_devices`.
    """
    if devices is not None and device is not None:
        raise OptionError("give devices= or device=, not both.")
    return target_devices(device if devices is None else devices)


def target_devices(devices: DeviceLike | Iterable[DeviceLike] | None) -> list[str]:
    """Return the devices as torch spells them, each checked against this machine.

    Args:
        devices: ``None`` (every accelerator of the first kind present, else the CPU), a device (``"cuda"``,
            ``"cuda:1"``, ``1``, ``torch.device``), or several.

    Raises:
        DeviceError: A device is misspelt or not present, or the list is empty.
    """
    if devices is None:
        return _all_accelerators() or ["cpu"]
    if isinstance(devices, (str, int, torch.device)):
        return [_checked(devices)]
    try:
        wanted = list(devices)
    except TypeError as error:
        raise DeviceError(f"devices={devices!r} is neither a device nor a list of devices.{_present()}") from error
    if not wanted:
        raise DeviceError(f"devices is an empty list.{_present()} None stands for all of them.")
    return [_checked(device) for device in wanted]


def _checked(device: DeviceLike) -> str:
    parsed = _parsed(device)
    if parsed.type == "cpu":
        return "cpu"
    count = _count(parsed.type) if parsed.type in _ACCELERATORS else 0
    if not 0 <= (parsed.index or 0) < count:
        raise DeviceError(f"there is no device {str(device)!r} on this machine.{_present()}")
    return str(parsed)


def _parsed(device: DeviceLike) -> torch.device:
    if isinstance(device, bool) or not isinstance(device, (str, int, torch.device)):
        raise DeviceError(f"{device!r} ({type(device).__name__}) is no device.{_present()}")
    try:
        # A number is an accelerator's, of the kind that is present; torch itself would always take it for CUDA.
        return torch.device(_kind() or "cuda", device) if isinstance(device, int) else torch.device(device)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # no word, no Unicode, no number of 64 bits
        raise DeviceError(f"{device!r} is no device that torch knows.{_present()}") from error


def _all_accelerators() -> list[str]:
    kind = _kind()
    if kind is None:
        return []
    return [kind] if kind == "mps" else [f"{kind}:{index}" for index in range(_count(kind))]


def _kind() -> str | None:
    return next((kind for kind in _ACCELERATORS if _count(kind)), None)


def _count(kind: str) -> int:
    backend = getattr(torch, kind, None)
    if backend is None or not hasattr(backend, "is_available"):
        backend = getattr(torch.backends, kind, None)
    if backend is None or not backend.is_available():
        return 0
    return backend.device_count() if hasattr(backend, "device_count") else 1


def _present() -> str:
    return f" This machine has: {', '.join(['cpu', *_all_accelerators()])}."
