"""Workers: one process for each device, with a model of its own.

:class:`FlagEmbedding.engine.workers.pool.WorkerPool` is the way in. What a worker process imports (``worker``,
``messages``) imports no torch: a worker pays only for what its model needs.
"""
