"""MPyC's secure types in the in-process cluster.

MPyC keeps its runtime in a global variable of each of its modules. Here that global stands for the
runtime of whichever party's task is running, so that several parties fit in one process.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import field
from engine._mpyc import install
from engine.cluster import run_cluster

_CURRENT: contextvars.ContextVar[Any] = contextvars.ContextVar("party")


class _RuntimeOfTask:
    """Passes everything on to the runtime of the current task."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_CURRENT.get(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_CURRENT.get(), name, value)


def run_mpyc(
    program: Callable[[Any], Any], m: int = 4, t: int | None = None, **options: Any
) -> list[Any]:
    """`async program(mpc)` at all parties of a cluster; results in party order."""
    return run_cluster(at_party(program), m, t, **options)


@functools.cache
def at_party(program: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`program` as a cluster runs it: MPyC's types refer to the runtime of the party's own task."""

    async def party(mpc: Any) -> Any:
        _CURRENT.set(mpc)
        install(_RuntimeOfTask())
        return await program(mpc)

    return party


def opened(program: Callable[..., Any], *arrays: Any, stype: Callable[[Any], Any],
           m: int = 4, t: int | None = None) -> Any:
    """`program(mpc, *secret arrays)` opened, where party 0 puts the arrays in; the same at all."""

    async def run(mpc: Any) -> Any:
        secret = [mpc.input(stype(mpc).array(a), senders=0) for a in arrays]
        return await mpc.output(program(mpc, *secret))

    first, *others = run_mpyc(run, m, t)
    for other in others:
        assert repr(other) == repr(first), "the parties opened different values"
    return first


def plain(x: Any) -> np.ndarray:
    """The integers behind a ShareArray or an element, signed."""
    values = np.asarray(x.value, dtype=object)
    return np.where(values > field.P // 2, values - field.P, values)
