"""all-MiniLM-L6-v2 for FlagEmbedding: an example of a third-party plugin."""
