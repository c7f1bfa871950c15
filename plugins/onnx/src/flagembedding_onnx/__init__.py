"""ONNX Runtime as an engine for FlagEmbedding, as a plugin: see ``hooks`` and ``engine``."""
