"""Opening a sharing of some degree to a group of parties: who sends its share to whom.

`Opening` trusts what arrives; `CheckedOpening` of `engine.checked_opening` has the same
methods and checks it.
"""

import numpy as np


class Opening:
    """The first degree + 1 parties of a group send their shares to the receivers.

    The receivers are the group, unless others are given; all of them use the same shares.
    """

    def __init__(self, op, degree: int, group, receivers=None):
        self.op, self.pid = op, op.runtime.pid
        self.senders = tuple(group[:degree + 1])
        self.receivers = tuple(group if receivers is None else receivers)

    def send(self, own: np.ndarray | None, tag: int) -> None:
        """Send this party's shares (n, 2); nothing at a party that is no sender."""
        if self.pid in self.senders:
            for peer in self.receivers:
                if peer != self.pid:
                    self.op.send(peer, own, tag)

    async def receive(self, own: np.ndarray | None, tag: int, n: int):
        """(shares, parties): what fixes the n opened values, at a receiver."""
        shares = [own if p == self.pid else await self.op.receive_elements(p, n, tag)
                  for p in self.senders]
        return shares, self.senders
