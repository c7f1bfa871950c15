"""The Qwen3 family for FlagEmbedding, as a plugin: see ``hooks`` and ``catalog``."""
