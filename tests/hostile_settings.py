"""What nobody would put into a model's files by accident, and what one well might."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HUGE = 10**9


class Evil:
    """An object that creates a file when it is unpickled."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return Path.touch, (self.trap,)


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 3, 2**31, HUGE, 10**12, 10**30, 1e308, -0.5, 0.0, float("nan"), float("inf")),
    *("", "x", "../../etc/passwd", "/etc/passwd", "\ud800", "a\0b", "long " * 20_000, "os.system", "torch.nn.Tanh"),
    *([], {}, [1], ["x"], [[]], {"a": 1}, {"": None}, nested(40), nested(200), nested(900)),
]

HOSTILE: list[dict[str, Any]] = [
    {"auto_map": dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer", "AutoProcessor"), "code.Evil")},
    {"auto_map": {"AutoModel": "acme/evil--code.Evil"}},
    {"auto_map": ["code.Evil", "code.Evil"]},
    {"custom_pipelines": {"feature-extraction": {"impl": "code.Evil", "pt": ["AutoModel"]}}},
    {"model_type": "strange", "auto_map": {"AutoConfig": "code.Evil", "AutoModel": "code.Evil"}},
    {"trust_remote_code": True, "auto_map": {"AutoModel": "code.Evil"}},
    {"attn_implementation": "acme/evil"},
    {"_attn_implementation": {"": "kernels-community/evil"}},
    {"experts_implementation": "acme/evil"},
    {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    {"quantization_config": {"quant_method": "strange"}},
    {"transformers_weights": "../../outside.safetensors"},
    {"transformers_weights": "2_Dense/model.safetensors"},
    {"return_dict": False},
    {"output_attentions": True},
    {"output_hidden_states": True},
    {"chunk_size_feed_forward": 3},
    {"num_labels": HUGE},
    {"pruned_heads": {"0": [1]}},
    {"tokenizer_class": "RagTokenizer"},
    {"torch_dtype": "float16"},
    {"architectures": 5},
    {"vocab_file": "/etc/passwd", "tokenizer_file": "/etc/passwd"},
]
