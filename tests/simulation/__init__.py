"""The scheduler's life in a box: thousands of seeded histories with faults on one manual time and one store in memory."""
