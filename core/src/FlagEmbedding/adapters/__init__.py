"""Embedders and rerankers inside other programs: LangChain, LlamaIndex, Haystack and mteb.

Each module needs its program (``pip install 'flagembedding-core[langchain]'`` and so on), says so where that is not
installed, and is imported by nobody else.
"""
