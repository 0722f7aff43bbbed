"""What the engine's tests share: secret inputs, opened results, costs summed over the parties."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from collections.abc import Callable
from typing import Any

import numpy as np

from engine import frames
from engine.cluster import run_cluster

SIZES = [(1, 0), (3, 1), (4, 1), (5, 2)]
"""(m, t) of the deployments that the product states."""

OF_PROGRAMS = (frames.ARRAY, frames.SCALAR)
"""Kinds of frames that a program causes. The others say that a party has ended or, on a machine
that is busy long enough, ask whether it is there."""

# Below the ports that the product reserves; a block of its own for each of the processes that run
# tests beside each other, as a port is free until somebody listens.
_BLOCK = 1000
_BLOCKS = 10
_FIRST = 10_000 + _BLOCK * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _BLOCKS)


def secret(mpc: Any, values: Any, owner: int = 0, frac: int | None = None) -> Any:
    """A secret array that `owner` puts in; the others know only its shape and type."""
    values = np.asarray(values)
    own = values if mpc.pid == owner else np.zeros_like(values)
    return mpc.input(mpc.array(own, frac), senders=owner)


def opened(expression: Callable[..., Any], *values: Any, m: int = 4, t: int | None = None) -> Any:
    """`expression(mpc, *secret arrays)` opened: what all parties see alike.

    The k-th value is put in by party k mod m.
    """

    async def program(mpc: Any) -> Any:
        arrays = [secret(mpc, v, k % mpc.geometry.m) for k, v in enumerate(values)]
        return await mpc.output(expression(mpc, *arrays))

    first, *others = run_cluster(program, m, t)
    for other in others:
        np.testing.assert_equal(other, first)
    return first


async def primitives(mpc: Any, x: Any) -> None:
    """One operation of every kind on a secret vector of n numbers (matmul: 2 by 3; 2n bits)."""
    n = x.size
    mpc.multiply(x, x)
    mpc.matrix_product(x.reshape(1, n).T[:2], x[:3].reshape(1, 3))
    mpc.truncate(x, 3, 17)
    mpc.negative(x)
    mpc.equal(x, 1.0)
    mpc.to_bits(x, 5)
    mpc.random_bits((n, 2))
    await mpc.open_negative(x)
    await mpc.output(x)


def free_addresses(count: int) -> list[tuple[str, int]]:
    """Loopback addresses at consecutive ports that nobody listens at, outside of the range that
    dialling draws from."""
    while True:
        first = random.randrange(_FIRST, _FIRST + _BLOCK - count)
        found = [("127.0.0.1", first + i) for i in range(count)]
        with contextlib.suppress(OSError), contextlib.ExitStack() as listening:
            for address in found:
                listening.enter_context(socket.create_server(address))
            return found


def base_port(parties: int) -> int:
    """What `-B` may be given for so many local parties."""
    return free_addresses(parties)[0][1]


def measured(
    program: Callable[[Any], Any], m: int, t: int | None = None, verified: bool = False
) -> dict[str, tuple[int, int, int]]:
    """Per operation name: calls, rounds of all calls, bytes of all calls over all parties."""
    meters = []

    async def watched(mpc: Any) -> Any:
        meters.append(mpc.meter)
        return await program(mpc)

    run_cluster(watched, m, t, verified=verified)
    costs: dict[str, tuple[int, int, int]] = {}
    for meter in meters:
        seen: dict[str, tuple[int, int, int]] = {}
        for path, cost in meter.paths.items():
            calls, rounds, sent = seen.get(path[-1], (0, 0, 0))
            seen[path[-1]] = (calls + cost.calls, rounds + cost.rounds, sent + cost.bytes_sent)
        for name, (calls, rounds, sent) in seen.items():
            before = costs.get(name, (calls, rounds, 0))
            assert before[:2] == (calls, rounds), f"the parties count {name} differently"
            costs[name] = (calls, rounds, before[2] + sent)
    return costs
