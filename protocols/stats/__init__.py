"""Regulator statistics: tables over many institutions, with disclosure control on shares."""
