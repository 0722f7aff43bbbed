"""The steps of a program: reported as they begin and end, and metered one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

Progress = Callable[[str, str], None]


class Steps:
    """Use `with steps.step(name):`; `costs` then holds seconds, rounds, bytes and products.

    Rounds are those on the longest path within the step, bytes those that this party sent.
    """

    def __init__(self, mpc, progress: Progress) -> None:
        self._mpc, self._progress = mpc, progress
        self.costs: dict[str, dict[str, float]] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Meter a step, and report its start and its end."""
        mpc = self._mpc
        mpc.step = name
        mpc.floor = mpc.meter.depth  # steps follow each other
        self._progress(name, 'start')
        with mpc.meter.open_section(name), mpc.meter.measure() as cost:
            yield
        self.costs[name] = {'seconds': cost.seconds, 'rounds': cost.rounds,
                            'bytes_per_party': cost.bytes_sent,
                            'multiplications': cost.multiplications}
        self._progress(name, 'done')
