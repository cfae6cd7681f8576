"""naq: durable schedules that fire exactly once into a durable queue, on NATS JetStream."""
