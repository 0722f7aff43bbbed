"""What happens before the tests, and the order of their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import warm

LONG = (
    "test_resume",
    "test_stats_node",
)
"""Files in the order in which they begin, the longest first; all others follow by name."""


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels in one process, before several that run tests would each do it."""
    if not hasattr(config, "workerinput"):
        warm.ensure()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no process ends long after the others."""
    place = {name: k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(Path(item.path).stem, len(place)))
