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
parties who know it has lied. A message is the sealed content, the keys to the seals of parties 0 to
m - 1, and the digests of the keys of parties 0 to m - 1. (In its own places a sender has a random
key, too: zeros would look like numbers to whoever searches the frames for them.)

    seals = Seals(op, tag)
    seals.send(receivers, content)
    contents = await seals.receive(size)   # at a receiver
    op.round()
"""

import hashlib

import numpy as np

_KEY = 16


def sealed_size(size: int, m: int) -> int:
    """Bytes of a message that seals `size` bytes."""
    return size + 2 * _KEY * m


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
        self._own: list[bytes] = []
        given = []
        for p in range(self.m):
            drawn = op.of_pair(p, b'seal', 4, tag).tobytes()
            first, second = drawn[:_KEY], drawn[_KEY:]
            # Two parties draw the same: first the key to the seal of the lower one.
            self._own.append(first if self.pid <= p else second)
            given.append(second if self.pid < p else first)
        self._keys = {self.pid: b''.join(given)}
        self._digests: dict[int, bytes] = {}

    def send(self, receivers, content: bytes) -> None:
        """Send the content, sealed, and this party's word to the receivers."""
        message = b''.join([_sealed(content, _sum(self._own)), self._keys[self.pid],
                            *map(_digest, self._own)])
        words = np.frombuffer(message, np.uint8)
        for receiver in receivers:
            if receiver != self.pid:
                self.op.send(receiver, words, self.tag)

    async def receive(self, size: int) -> dict[int, bytes]:
        """What the other parties have sealed, `size` bytes each, or noise where a key is wrong."""
        sealed, end = {}, size + _KEY * self.m
        for p in range(self.m):
            if p != self.pid:
                words = await self.op.receive(p, (sealed_size(size, self.m),), np.uint8, self.tag)
                message = words.tobytes()
                sealed[p], self._keys[p], self._digests[p] = \
                    message[:size], message[size:end], message[end:]
        # To all seals at once. A wrong key in a sender's own place spoils its own seal.
        keys = _sum(self._keys.values())
        return {p: _sealed(content, _part(keys, p)) for p, content in sealed.items()}

    def conflicts(self) -> set[tuple[int, int]]:
        """(i, j) where the key of j to the seal of i is not the one that i has sealed with."""
        return {(p, q) for p, digests in self._digests.items() for q, keys in self._keys.items()
                if q != p and _digest(_part(keys, p)) != _part(digests, q)}


def _sum(keys) -> bytes:
    """The XOR of keys, or rows of keys, of one length."""
    total, size = 0, 0
    for key in keys:
        total, size = total ^ int.from_bytes(key), len(key)
    return total.to_bytes(size)


def _part(data, k):
    return data[_KEY * k:_KEY * (k + 1)]


def _digest(key):
    return hashlib.blake2b(key, digest_size=_KEY).digest()


def _sealed(content: bytes, key: bytes) -> bytes:
    """The content under the seal of all keys, or out of it."""
    stream = hashlib.shake_128(key).digest(len(content))
    return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))
