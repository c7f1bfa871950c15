"""Peak memory of an LLM reranker: 128 pairs of 512 tokens through a gemma-shaped model of random weights.

    python benchmarks/reranker_memory.py [--pairs 128] [--tokens 512]

The measure is the process's own peak (VmHWM), less what it held before the model was there, beside the weights and one
layer's activations for all the pairs at once: the states and the widest part of the MLP, float32. A reranker that asks
for the logits of the whole vocabulary at every position holds pairs x tokens x vocabulary numbers beside that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from FlagEmbedding import FlagLLMReranker

MODEL = {
    "hidden_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 128,
    "intermediate_size": 4096,
    "vocab_size": 64_000,
    "max_position_embeddings": 1024,
}
MEGABYTE = 2**20


def build(folder: Path) -> None:
    """Write the checkpoint: a tokenizer of words, gemma's layers, a quarter as wide."""
    words = ["<pad>", "<bos>", "<eos>", "<unk>", "Yes", *(f"w{index}" for index in range(1000))]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    config = transformers.GemmaConfig(**MODEL, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)


def status(field: str) -> float:
    """Return a size that the kernel reports of this process, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def measure(folder: Path, pairs: int, tokens: int) -> None:
    """Print, as JSON, what one process holds before, with and while using the model."""
    before = status("VmRSS")
    reranker = FlagLLMReranker(str(folder), devices="cpu", prompt="Yes")
    loaded = status("VmRSS")
    query, passage = " ".join(["w1"] * 16), " ".join(["w2"] * tokens)
    scores = reranker.compute_score([(query, f"w{index % 997} {passage}") for index in range(pairs)], max_length=tokens)
    weights = sum(weight.numel() * weight.element_size() for weight in reranker.model.parameters()) / MEGABYTE
    found = {"before": before, "loaded": loaded, "peak": status("VmHWM"), "weights": weights, "scores": len(scores)}
    print(json.dumps(found))


def main() -> None:
    """Measure in a process of its own, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        measure(options.folder, options.pairs, options.tokens)
        return
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        command = [sys.executable, __file__, "--folder", name, "--pairs", str(options.pairs)]
        output = subprocess.run(
            [*command, "--tokens", str(options.tokens)], capture_output=True, text=True, check=True
        ).stdout
    report(json.loads(output), options.pairs * options.tokens)


def report(found: dict[str, float], positions: int) -> None:
    """Print the figures."""
    layer = positions * (MODEL["hidden_size"] + MODEL["intermediate_size"]) * 4 / MEGABYTE
    logits = positions * MODEL["vocab_size"] * 4 / MEGABYTE
    peak = found["peak"] - found["before"]
    print(f"weights                                {found['weights']:8.0f} MB")
    print(f"one layer's activations, all at once   {layer:8.0f} MB")
    print(f"peak, less the bare process            {peak:8.0f} MB")
    print(f"peak / (weights + activations)         {peak / (found['weights'] + layer):8.2f}")
    print(f"peak / weights                         {peak / found['weights']:8.2f}")
    print(f"(logits of the whole vocabulary, not computed: {logits:.0f} MB)")


if __name__ == "__main__":
    main()
