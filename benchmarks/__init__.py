"""How fast naq is, and what it costs: ``python -m benchmarks`` prints a table. Nothing here is a test."""
