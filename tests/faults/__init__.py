"""Faults on real processes and real servers: every promise of docs/reliability.md, broken on purpose."""
