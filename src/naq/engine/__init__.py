"""The engine: what runs a scheduler and a worker, knowing only the doors (`naq.ports`) and the `Clock`."""
