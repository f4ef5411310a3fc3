"""The training loop, what it minimises, and the seeds of a variant side by side."""
