"""What this plugin contributes to FlagEmbedding."""

from __future__ import annotations

from FlagEmbedding.plugins import hookimpl


@hookimpl
def flagembedding_engines() -> dict[str, str]:
    """Return the engine, which is imported when it is asked for."""
    return {"onnx": "flagembedding_onnx.engine:onnx_engine"}
