"""An opening to all parties as a step of a larger operation.

What opens so is used inside of the operation only, so the program has not seen it and its later
operations do not count as later rounds. In verified mode a wrong share ends the run: it is not
corrected, as in an output.
"""

import numpy as np

from engine import field
from engine.checked_opening import CheckedOpening
from engine.costs_verified import SMALL_OUTPUT
from engine.verified import confirm


async def open_inside(op, share: np.ndarray) -> np.ndarray:
    """The n field elements (n, 2) of which `share` (n, 2) is this party's share of degree t.

    Every party gets t shares of the others, in verified mode digests of the rest as well, after all
    have confirmed that they have come so far; few numbers open under seals instead. One round, in
    verified mode above 256 numbers two; bytes: the operation `open_inside` of
    `engine.costs_verified.predict`. Opens to all parties. Raises RemoteProtocolError
    `cheating-detected`.
    """
    g, pid = op.runtime.geometry, op.runtime.pid
    share = np.ascontiguousarray(share)
    if g.verified:
        small = len(share) <= SMALL_OUTPUT
        if not small:
            await confirm(op)
        opening = CheckedOpening(op, g.t, range(g.m), sealed=small)
        opening.send(share)
        shares, points = await opening.receive(share)
        op.round()
    else:
        sources = [(pid - k) % g.m for k in range(1, g.t + 1)]
        outgoing = {(pid + k) % g.m: share for k in range(1, g.t + 1)}
        shares = [share, *await op.exchange(outgoing, sources, len(share))]
        points = (pid, *sources)
    weights = g.recombination(tuple(points))
    return await op.compute(4 * len(share), field.combine, shares, weights)
