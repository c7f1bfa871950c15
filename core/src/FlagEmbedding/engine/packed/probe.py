"""The check at load: a model that runs packed must say what it says of one text at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.engine.explaining import running
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.forward import PackedForward

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""How far unit vectors of tokens may be apart; half precision rounds differently in another order of sums."""

_LENGTHS = (3, 9, 1, 3, 6)
_LONG = 96  # tokens that a probe may take to reach over the edge of a window


def rows(model: Any) -> list[list[int]]:
    """Return the token ids of some texts: of equal and of different lengths, one longer than a narrow window."""
    config = model.config
    window = getattr(config, "sliding_window", None) or 0
    lengths = [*_LENGTHS, *([window + 8] if 0 < window <= _LONG - 8 else [])]
    limit = getattr(config, "max_position_embeddings", _LONG) - 2  # RoBERTa's positions begin at 2
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (sum(lengths),), generator=generator)
    # The padding token in a text has a position of its own in some models; here it would hide the others' mistakes.
    pad = getattr(config, "pad_token_id", None)
    ids[ids == pad] = (pad or 0) + 1 if (pad or 0) + 1 < config.vocab_size else 0
    return [row.tolist()[:limit] for row in torch.split(ids, lengths)]


@torch.inference_mode()
def one_at_a_time(model: Any, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return float32 ``[tokens, width]`` of each text, from the model as it is."""
    device = next(model.parameters()).device
    with running(model.config.name_or_path):
        return [model(input_ids=torch.tensor([text], device=device)).last_hidden_state[0].float() for text in texts]


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Return the largest difference between two texts' unit vectors of tokens."""
    unit = torch.nn.functional.normalize
    return max(
        float((unit(one, dim=-1) - unit(other, dim=-1)).abs().max()) for one, other in zip(found, wanted, strict=True)
    )


@torch.inference_mode()
def check(build: Callable[[], PackedForward], model: Any, wanted: Sequence[Tensor]) -> PackedForward:
    """Return the forward, once it gives ``wanted`` of the probe's texts.

    Raises:
        NotPackableError: It fails, or gives something else.
    """
    texts = rows(model)
    try:
        forward = build()
        found = [*forward(texts).split(), forward.first(texts), forward.last(texts)]
    except NotPackableError:
        raise
    except Exception as error:
        raise NotPackableError(f"{type(error).__name__}: {error}") from error
    ends = [torch.stack([text[index] for text in wanted]) for index in (0, -1)]
    apart = distance(found, [*wanted, *ends])
    if not apart <= TOLERANCE[next(model.parameters()).dtype]:
        raise NotPackableError(f"packed texts differ by {apart:.1e} from one text at a time")
    return forward
