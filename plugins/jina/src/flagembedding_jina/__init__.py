"""The Jina family for FlagEmbedding, as a plugin: see ``hooks`` and ``catalog``."""
