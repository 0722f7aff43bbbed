"""A scriptable adversary: one party whose frames are changed on their way out.

    record = frames_of(program, cheater=2)            # what it sends when it is honest
    outcome = attacked(program, Attack('wrong', at=5), cheater=2)

An `Attack` names what happens to the frame number `at` of the cheater (counted over all its array
frames, to whomever they go) and, with `onwards`, to all that follow it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine import frames
from engine.cluster import run_cluster
from engine.errors import EngineError

KINDS = ("wrong", "random", "equivocate", "drop", "repeat", "replay", "reorder", "truncate",
         "lengthen")
"""wrong: one word is one more; random: all words are others; equivocate: each receiver gets
another error; drop: nothing arrives; repeat: the frame arrives twice; replay: an earlier payload of
the same length in place of this one; reorder: it arrives after the next one to the same party;
truncate, lengthen: eight bytes less or more."""


@dataclass
class Attack:
    """What happens to frame number `at` (and, with `onwards`, to all after it)."""

    kind: str
    at: int = 0
    onwards: bool = False
    count: int = 0
    earlier: dict[int, np.ndarray] = field(default_factory=dict)
    held: dict[int, Any] = field(default_factory=dict)

    def tap(self, cheater: int):
        """The tap of `run_cluster` that carries out the attack."""

        def change(source, target, frame, payload):
            if source != cheater or frame.kind != frames.ARRAY:
                return [(frame, payload)]
            number, self.count = self.count, self.count + 1
            waiting = [self.held.pop(target)] if target in self.held else []
            hit = number == self.at or (self.onwards and number > self.at)
            out = self._changed(target, frame, payload) if hit else [(frame, payload)]
            self.earlier.setdefault(len(payload), payload.copy())
            return [*out, *waiting]

        return change

    def _changed(self, target, frame, payload):
        if self.kind == "drop":
            return []
        if self.kind == "repeat":
            return [(frame, payload), (frame, payload.copy())]
        if self.kind == "reorder":
            self.held[target] = (frame, payload)
            return []
        if self.kind == "truncate":
            return [(frame._replace(length=max(0, len(payload) - 8)), payload[:-8].copy())]
        if self.kind == "lengthen":
            longer = np.concatenate([payload, np.zeros(8, np.uint8)])
            return [(frame._replace(length=len(longer)), longer)]
        changed = payload.copy()
        if self.kind == "replay":
            changed[:] = self.earlier.get(len(payload), 0)
        elif self.kind == "random":
            changed[:] = np.random.default_rng(self.at).integers(0, 127, len(payload))
        elif len(payload):
            changed[:1] += np.uint8(1 if self.kind == "wrong" else 1 + target)
        return [(frame, changed)]


@functools.cache
def frames_of(program, cheater: int, m: int = 4, **options) -> int:
    """How many array frames the cheater sends when it is honest. A program is run once for it."""
    attack = Attack("wrong", at=-1)
    run_cluster(program, m, tap=attack.tap(cheater), **options)
    return attack.count


def attacked(program, attack: Attack, cheater: int, m: int = 4, idle_deadline: float = 0.5,
             **options) -> list[Any]:
    """What the honest parties end with: their result, or an EngineError."""
    results = run_cluster(program, m, tap=attack.tap(cheater), raw_errors=True,
                          idle_deadline=idle_deadline, **options)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, EngineError):
            raise result
    return [r for pid, r in enumerate(results) if pid != cheater]
