"""The nats-server that naq runs itself when no ``nats_url`` is set.

Order: `program`, `directory`, `server`.
"""
