"""The same work done by naq and by other Python software, each in an environment of its own: ``python -m benchmarks.peers``.

Nothing of this is a part of naq or of its tests. Each peer's programs stand in a package of their own and are set up as its
documentation says; what they share is how a run is written down (`benchmarks.runs`) and the checker.
"""
