"""The public API: its names, its types, and what a mistake in its use is answered with."""
