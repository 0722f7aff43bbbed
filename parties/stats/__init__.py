"""Regulator statistics as jobs: input parties, releases, ledgers."""
