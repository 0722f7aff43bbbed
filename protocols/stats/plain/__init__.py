"""The same statistics in the clear: for tests and comparisons, never in a job."""
