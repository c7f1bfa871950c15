"""Packed forward: no padding is computed, whatever the model.

:func:`FlagEmbedding.engine.packed.loading.pack` is the way in. It compares what it returns with the model itself, one
text at a time, and raises :class:`FlagEmbedding.engine.packed.attention.NotPackableError` with the reason otherwise.
"""
