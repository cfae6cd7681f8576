"""procrastinate: tasks in PostgreSQL, periodic ones among them."""
