"""Plaintext twins of protocols, for tests and comparisons; never part of a job."""
