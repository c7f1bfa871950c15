"""The E5 family for FlagEmbedding, as a plugin: see ``hooks`` and ``catalog``."""
