"""arq: a worker on one event loop, jobs in Redis."""
