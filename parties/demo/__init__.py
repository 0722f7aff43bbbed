"""The demonstration: four organisations on one machine, with nothing simulated but the distance."""

from parties.demo.drive import Options, run_demo

__all__ = ["Options", "run_demo"]
