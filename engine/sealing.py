"""Shares under seals: an opening of few numbers that waits for all, in one round of verified mode.

An output opens only when all parties have come so far with every check passed, a public coin only
when they have what it is to check. Long openings wait for a round in which all say so
(`engine.verified.confirm`). Here a party i sends its share at once, under
a seal that opens with the keys κ_ij of all other parties j, and j sends κ_ij along with its own
sealed share: that is its word. Both i and j know κ_ij (it is drawn from their pairwise key), and no
other party does before. Without the word of one honest party j the shares of all other honest
parties stay closed, and j's own has not been sent, so nobody learns more than it would have learned
without the output.

The seal is the XOR of the content and SHAKE128 of the XOR of all keys. With it go digests of these
keys: where shares do not agree, a receiver finds out which key does not fit, and one of the two
parties who know it has lied.

    seals = Seals(op, tag)
    seals.send(receivers, content)
    contents = await seals.receive(size)   # at a receiver
    op.round()
"""

import functools
import hashlib

import numpy as np

_KEY = 16


def sealed_size(size: int, m: int) -> int:
    """Bytes of a message that seals `size` bytes."""
    return size + 2 * _KEY * (m - 1)


def liars(conflicts, pid: int, t: int) -> set[int]:
    """Of `conflicts`, those who must have lied: they contradict `pid` itself or more than t."""
    pairs = [set(pair) for pair in conflicts]
    contradicted = {p: set().union(*[pair - {p} for pair in pairs if p in pair])
                    for p in set().union(*pairs)}
    return {p for p, by in contradicted.items() if p != pid and (pid in by or len(by) > t)}


class Seals:
    """What one operation needs to seal an array of bytes at every party, in messages of one tag."""

    def __init__(self, op, tag: int):
        self.op, self.tag = op, tag
        self.pid, self.m = op.runtime.pid, op.runtime.geometry.m
        self._own: dict[int, bytes] = {}
        self._given: dict[int, bytes] = {}
        self._keys: dict[int, list[bytes]] = {}
        self._digests: dict[int, bytes] = {}
        for p in _beside(self.m, self.pid):
            drawn = op.of_pair(p, b'seal', 4, tag).tobytes()
            first, second = drawn[:_KEY], drawn[_KEY:]
            # Two parties draw the same: first the key to the seal of the lower one.
            self._own[p], self._given[p] = (first, second) if self.pid < p else (second, first)

    def send(self, receivers, content: bytes) -> None:
        """Send the content, sealed, and this party's word to the receivers."""
        message = b''.join([_sealed(content, self._own.values()), *self._given.values(),
                            *map(_digest, self._own.values())])
        words = np.frombuffer(message, np.uint8)
        for receiver in receivers:
            if receiver != self.pid:
                self.op.send(receiver, words, self.tag)

    async def receive(self, size: int) -> dict[int, bytes]:
        """What the other parties have sealed, `size` bytes each, or noise where a key is wrong."""
        shape, tail, sealed = (sealed_size(size, self.m),), size + _KEY * (self.m - 1), {}
        self._keys = {p: [self._given[p]] for p in self._given}
        for p in self._given:
            message = (await self.op.receive(p, shape, np.uint8, self.tag)).tobytes()
            sealed[p], self._digests[p] = message[:size], message[tail:]
            for k, q in enumerate(_beside(self.m, p)):
                if q != self.pid:
                    self._keys[q].append(message[size + _KEY * k:size + _KEY * (k + 1)])
        return {p: _sealed(content, self._keys[p]) for p, content in sealed.items()}

    def conflicts(self) -> set[tuple[int, int]]:
        """(i, j) where the key of j to the seal of i is not the one that i has sealed with."""
        found = set()
        for p, digests in self._digests.items():
            others = _beside(self.m, p)
            keys = dict(zip([self.pid, *[q for q in others if q != self.pid]], self._keys[p],
                            strict=True))
            found |= {(p, q) for k, q in enumerate(others)
                      if _digest(keys[q]) != digests[_KEY * k:_KEY * (k + 1)]}
        return found


@functools.cache
def _beside(m, party):
    return [p for p in range(m) if p != party]


def _digest(key):
    return hashlib.blake2b(key, digest_size=_KEY).digest()


def _sealed(content: bytes, keys) -> bytes:
    """The content under the seal of these keys, or out of it."""
    total = 0
    for key in keys:
        total ^= int.from_bytes(key)
    stream = hashlib.shake_128(total.to_bytes(_KEY)).digest(len(content))
    return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))
