"""The catalogue: which names there are, and what each one means. Knows names and no mathematics."""
