"""What ``benchmarks/compare.py`` is made of. It imports no torch and no peer: those live in their environments."""
