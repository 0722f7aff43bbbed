"""Plaintext twins: the same mathematics on pooled rows, for tests and for measuring accuracy.

Nothing in a job's own path imports this package.
"""
