"""What happens before the tests, and the order of their files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from engine import warm

# How long an example takes is the machine's affair; pytest bounds whole tests. The same examples in
# every run: what a new one finds is for whoever looks for it, with --hypothesis-profile=search.
settings.register_profile("sepc", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("sepc")

LONG = (
    # without nodes
    "test_stats_tracing", "test_verified", "test_credit_options", "test_credit_binning",
    "test_stats_verified", "test_stats_release", "test_logistic", "test_mpyc_programs",
    "test_pir_verified", "test_numeric", "test_bench", "test_deadlines", "test_memory",
    # with nodes
    "test_resume", "test_stats_node", "test_pir_node", "test_node", "test_demo_kill",
    "test_stats_demo", "test_demo_bus", "test_stats_trace_node",
)
"""Files that begin before all others, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels in one process, before several that run tests would each do it."""
    if not hasattr(config, "workerinput"):
        warm.ensure()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process ends long after the others."""
    place = {name: k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(Path(item.path).stem, len(place)))
