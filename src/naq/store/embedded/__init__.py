"""The nats-server that naq runs itself when no ``nats_url`` is set.

All naq processes of one user that share a data directory share one server. The first starts it, the last stops it, and any of
them starts it again when it ends. Membership is a file lock, so a member that is killed is out at once.

Order: `program`, `directory`, `process`, `server`.
"""
