"""Benchmarks and cost reports of the engine and the protocols."""
