"""What users need to test with naq: a clock stepped by hand, a store in memory, a real server on a free port."""
