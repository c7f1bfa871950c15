"""Room: where a model computes, how many batches at a time, and how many tokens have been found to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from FlagEmbedding.engine.lanes import threads
from FlagEmbedding.engine.memory import release
from FlagEmbedding.engine.planner import ACCELERATOR_TOKENS, CPU_TOKENS, LANE_TOKENS, Budget, Plan

# Tokens on a CPU after which the end of a call gives free memory back. Calls of every size leave more and more of it
# between what is in use; after four times as many tokens a process of mixed calls still grew. Not within a call: the
# next batch would have to ask for it again, a page at a time, which cost a sixth of the time.
_GIVE_BACK = 65_536


@dataclass
class Room:
    """What all calls of a model share.

    Attributes:
        device: As torch spells it.
        side_by_side: Whether several batches may run at once; not with code of a checkpoint's or a caller's, which may
            change itself, nor where another engine has threads of its own.
        tokens: Of one forward, at most; less, once that was too much for the memory.
    """

    device: str
    side_by_side: bool = True
    tokens: int = field(init=False)
    _computed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.tokens = CPU_TOKENS if self.device == "cpu" else ACCELERATOR_TOKENS

    def plan(self, lengths: Sequence[int], texts: int) -> tuple[Plan, int]:
        """Return the batches of rows of these lengths, at most so many texts each, and how many run at a time."""
        lanes = threads() if self.device == "cpu" and self.side_by_side else 1
        # Lanes are for a batch each. Of a few texts, and of a few long ones too, all threads share every product.
        if lanes > 1 and min(len(lengths), sum(lengths) // LANE_TOKENS) >= lanes:
            return Plan(lengths, Budget(texts, min(self.tokens, LANE_TOKENS))), lanes
        return Plan(lengths, Budget(texts, self.tokens)), 1

    def shrink(self, plan: Plan) -> None:
        """Remember what a plan has found out about the memory."""
        self.tokens = min(self.tokens, plan.budget.tokens)

    def computed(self, tokens: int) -> None:
        """Count what a call has computed, and now and then give back the memory that calls have left unused."""
        if self.device != "cpu":  # an accelerator's allocator is good at using again what it holds
            return
        self._computed += tokens
        if self._computed >= _GIVE_BACK:
            self._computed = 0
            release(self.device)
