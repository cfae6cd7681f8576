"""The engine: what runs a scheduler and a worker, knowing only the doors (`naq.store.port`) and the `Clock`."""
