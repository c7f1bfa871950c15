"""The check at load: a model that runs packed must say what it says of one text at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.engine.explaining import running
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.forward import PackedForward

logger = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-1, torch.float16: 2e-2}
"""How far unit vectors of tokens may be apart; half precision rounds differently in another order of sums.

In bfloat16 that is a cosine of 0.995: two ways through 32 layers that are both right come near it.
"""

_LENGTHS = (3, 9, 1, 3, 6)
_LONG = 96  # tokens that a probe may take to reach over the edge of a window


def rows(model: Any) -> list[list[int]]:
    """Return the token ids of some texts: of equal and of different lengths, one longer than a narrow window.

    Raises:
        NotPackableError: The configuration does not say how many tokens there are.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None) or 0
    lengths = [*_LENGTHS, *([window + 8] if 0 < window <= _LONG - 8 else [])]
    generator = torch.Generator().manual_seed(0)
    if not isinstance(getattr(config, "vocab_size", None), int):
        raise NotPackableError(f"the configuration of {type(model).__name__} has no vocab_size to try it with")
    ids = torch.randint(config.vocab_size, (sum(lengths),), generator=generator)
    # The padding token in a text has a position of its own in some models; here it would hide the others' mistakes.
    pad = getattr(config, "pad_token_id", None)
    ids[ids == pad] = (pad or 0) + 1 if (pad or 0) + 1 < config.vocab_size else 0
    return [row.tolist()[: _limit(model)] for row in torch.split(ids, lengths)]


def _limit(model: Any) -> int:
    positions: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return (positions or _LONG) - 2  # RoBERTa's begin at 2


@torch.inference_mode()
def one_at_a_time(model: Any, texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return float32 ``[tokens, width]`` of each text, from the model as it is."""
    device = next(model.parameters()).device
    with running(model.config.name_or_path):
        return [model(input_ids=torch.tensor([text], device=device)).last_hidden_state[0].float() for text in texts]


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Return the largest distance between unit vectors of the same token, which is NaN if one of them is.

    A distance, not a component's difference: that shrinks with the width of the vectors.
    """
    unit = torch.nn.functional.normalize
    apart = [(unit(one, dim=-1) - unit(other, dim=-1)).norm(dim=-1) for one, other in zip(found, wanted, strict=True)]
    return float(torch.cat(apart).max())


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


@torch.inference_mode()
def goes_on_from_a_prefix(forward: PackedForward, model: Any) -> bool:
    """Say whether texts that begin alike have the same last tokens when the beginning is computed once."""
    beginning, *ends = sorted(rows(model), key=len, reverse=True)
    texts = [[*beginning, *end][: _limit(model)] for end in ends]
    wanted = forward.last(texts)
    forward.shares = True
    try:
        return distance([forward.last(texts)], [wanted]) <= TOLERANCE[forward.body.dtype]
    except NotPackableError as error:
        logger.debug("%s computes shared beginnings again: %s", type(model).__name__, error)
        return False
    finally:
        forward.shares = False
