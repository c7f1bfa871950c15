from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine.precision import compute_dtype


@pytest.mark.parametrize(
    ("device", "use_fp16", "use_bf16", "dtype"),
    [
        ("cpu", False, False, torch.float32),
        ("cpu", True, False, torch.float32),
        ("cpu", False, True, torch.bfloat16),
        ("cpu", True, True, torch.bfloat16),
        ("cuda:0", False, False, torch.float32),
        ("cuda:0", True, False, torch.float16),
        ("cuda:0", False, True, torch.bfloat16),
        ("cuda:0", True, True, torch.bfloat16),
        ("mps", True, False, torch.float16),
    ],
)
def test_half_precision_is_for_accelerators(device, use_fp16, use_bf16, dtype):
    assert compute_dtype(device, use_fp16, use_bf16) == dtype
