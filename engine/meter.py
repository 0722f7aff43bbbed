"""The cost meter: what every operation costs, by call path.

Rounds are counted as the length of the critical path: each share carries the depth at which it
became known, an operation starts at the greatest depth of its inputs, and each exchange of messages
adds one. Independent operations therefore share their rounds, as they do on the wire. Bytes are
payload bytes sent by this party (frame headers are counted separately as messages).
"""

import contextlib
import contextvars
import time
from dataclasses import asdict, dataclass, fields

from engine.shamir import STATISTICAL_SECURITY


@dataclass
class Cost:
    """Accumulated cost of an operation or a section at this party.

    `cpu_seconds` is the time in kernels; the prediction (`engine.costs`) of bytes is for all
    parties together.
    """

    calls: int = 0
    rounds: int = 0
    bytes_sent: int = 0
    messages: int = 0
    multiplications: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    predicted_rounds: int = 0
    predicted_total_bytes: int = 0

    def __sub__(self, other):
        return Cost(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def as_dict(self):
        """The cost as a plain dictionary."""
        return asdict(self)


class Meter:
    """Costs by call path; `total` is everything since the start.

    `statistical_security` is the bound, in bits, on what one masked opening may give away; over a
    run these distances add up. `depth` is the greatest depth of any finished operation, so the
    difference of two readings is the number of sequential rounds between them.
    """

    statistical_security = STATISTICAL_SECURITY

    def __init__(self) -> None:
        self.paths: dict[tuple[str, ...], Cost] = {}
        self.depth = 0
        self._section: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar(
            'section', default=())

    @property
    def section(self) -> tuple[str, ...]:
        """Names of the open sections, outermost first."""
        return self._section.get()

    @property
    def total(self) -> Cost:
        """Everything since the start."""
        total = Cost()
        for cost in self.paths.values():
            for f in fields(Cost):
                setattr(total, f.name, getattr(total, f.name) + getattr(cost, f.name))
        return total

    @contextlib.contextmanager
    def open_section(self, name: str):
        """Attribute the operations issued inside to `name`."""
        token = self._section.set((*self.section, name))
        try:
            yield
        finally:
            self._section.reset(token)

    def record(self, path, rounds, bytes_sent, messages, multiplications, seconds, depth,
               cpu_seconds=0.0, predicted=None):
        """Account for one finished operation."""
        cost = self._of(path)
        self.add(path, rounds, bytes_sent, messages, multiplications)
        cost.calls += 1
        cost.seconds += seconds
        cost.cpu_seconds += cpu_seconds
        if predicted is not None:
            cost.predicted_rounds += predicted[0]
            cost.predicted_total_bytes += predicted[1]
        self.depth = max(self.depth, depth)

    def add(self, path, rounds, bytes_sent, messages, multiplications):
        """Account for what an operation has done besides."""
        cost = self._of(path)
        cost.rounds += rounds
        cost.bytes_sent += bytes_sent
        cost.messages += messages
        cost.multiplications += multiplications

    def _of(self, path):
        cost = self.paths.get(path)
        if cost is None:
            cost = self.paths[path] = Cost()
        return cost

    @contextlib.contextmanager
    def measure(self):
        """Yield a Cost that holds, after the block, what the block cost (rounds = depth)."""
        result, before = Cost(), self.total
        depth, started = self.depth, time.perf_counter()
        try:
            yield result
        finally:
            spent = self.total - before
            for f in fields(result):
                setattr(result, f.name, getattr(spent, f.name))
            result.rounds = self.depth - depth
            result.seconds = time.perf_counter() - started
