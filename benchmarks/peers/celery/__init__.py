"""Celery with Redis as its broker: beat, and a worker that forks one child for each core."""
