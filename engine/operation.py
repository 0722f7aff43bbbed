"""One operation of the computation: its number, its randomness, its messages, its cost.

Operations are numbered by MPyC's program counter, which is the same at all parties because all run
the same program. The number labels every frame, names every pseudorandom draw, and rotates the
roles of the parties. An operation's body is a coroutine over share arrays; everything it sends and
awaits goes through the methods here, so rounds, bytes and messages are metered in one place.
"""

import asyncio
import math
import struct
import time

import numpy as np
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.poly1305 import Poly1305

from engine import field, frames
from engine.costs import Prediction
from engine.costs_verified import predict
from engine.divergence import call_site, context_of
from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.threads import cpu_time

_DIGEST = 0xffff
"""In place of a frame's number within its array: the frame vouches for the whole array."""

_LABEL = struct.Struct('<q16sI')


class LongDigest:
    """A one-time authenticator of arrays whose sizes both ends know (`Operation.send_digest`)."""

    __slots__ = ('_poly',)

    def __init__(self, poly: Poly1305):
        self._poly = poly

    def add(self, words: np.ndarray) -> None:
        """The next array."""
        self._poly.update(_content(words))

    @property
    def value(self) -> bytes:
        """Of all arrays; nothing can be added any more."""
        return self._poly.finalize()

    def equals(self, digest: bytes) -> bool:
        """Whether a digest that has arrived is of the same arrays; to be asked once."""
        return bytes_eq(digest, self.value)


def _content(words):
    return np.ascontiguousarray(words).reshape(-1).view(np.uint8).data


class Operation:
    """A numbered operation; see the module docstring."""

    __slots__ = ('bytes_sent', 'context', 'cpu', 'depth', 'expected', 'floor', 'id', 'messages',
                 'multiplications', 'name', 'path', 'pieces', 'reported', 'rounds', 'runtime',
                 'started')

    def __init__(self, runtime, name: str, shape=(), local: bool = False):
        self.runtime, self.name = runtime, name
        # A local operation takes no number: whether it is issued at all (or computed on the spot)
        # depends on timing, and the numbers must not.
        self.id = 0 if local else runtime.next_operation()
        self.path = (*runtime.meter.section, name)
        self.floor = runtime.floor
        self.context = 0 if local else context_of(name, tuple(shape)) | call_site()
        self.depth = self.rounds = self.bytes_sent = self.messages = self.multiplications = 0
        self.pieces, self.cpu, self.reported = 0, 0.0, False
        self.expected: Prediction | None = predict(name, math.prod(shape), runtime.geometry)
        self.started = time.perf_counter()

    @property
    def rotation(self) -> int:
        """Which party plays role 0 in this operation."""
        return self.id % self.runtime.geometry.m

    @property
    def group(self) -> tuple[int, ...]:
        """The active parties of this operation."""
        return self.runtime.geometry.active_group(self.rotation)

    def claim(self, count: int) -> int:
        """The first of `count` numbers for pieces; no two steps of an operation share any.

        A piece's number labels its frames and its masks: used twice, a mask would give away the
        difference of the values under it.
        """
        self.pieces += count
        if self.pieces > 1 << 15:
            raise LocalProtocolError('too-many-pieces', f'{self.name}: {self.pieces} pieces',
                                     remedy='split the array')
        return self.pieces - count

    def of_set(self, index: int, purpose: bytes, count: int, piece: int = 0,
               out: np.ndarray | None = None, start: int = 0) -> np.ndarray:
        """Fresh words known to the parties of one PRSS set (written into `out`, if given).

        Those of a purpose and piece may be drawn in parts: `start` counts elements (two words).
        """
        name = _LABEL.pack(self.id, purpose, piece)
        return self.runtime.randomness.of_set(index, name, count, out, start)

    def of_pair(self, peer: int, purpose: bytes, count: int, piece: int = 0) -> np.ndarray:
        """Fresh words known to this party and `peer` (this party alone if peer is itself)."""
        return self.runtime.randomness.of_pair(peer, _LABEL.pack(self.id, purpose, piece), count)

    def send(self, peer: int, words: np.ndarray, tag: int = 0) -> None:
        """Send an array to a peer, in frames of bounded size."""
        if not words.size:
            self.messages += 1
            self.runtime.send_frame(peer, frames.ARRAY, tag << 16, self.id, self.context, b'')
            return
        data = np.ascontiguousarray(words).reshape(-1).view(np.uint8)
        self.bytes_sent += data.size
        for k, start in enumerate(range(0, data.size, self.runtime.frame_bytes)):
            self.messages += 1
            self.runtime.send_frame(peer, frames.ARRAY, (tag << 16) | k, self.id, self.context,
                                    data[start:start + self.runtime.frame_bytes])

    async def receive(self, peer: int, shape, dtype=np.uint64, tag: int = 0) -> np.ndarray:
        """Receive an array of known shape from a peer."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        step = self.runtime.frame_bytes
        if size <= step:
            whole = await self._frame(peer, tag << 16, size)
        else:
            whole = np.empty(size, np.uint8)
            for k, start in enumerate(range(0, size, step)):
                expected = min(size - start, step)
                whole[start:start + expected] = await self._frame(peer, (tag << 16) | k, expected)
        return whole.view(dtype).reshape(shape)

    async def _frame(self, peer, tag, expected):
        data = await self.runtime.receive_frame(peer, tag, self.id, self.context, self.name)
        if data.size != expected:
            raise RemoteProtocolError(
                'wrong-length', f'operation {self.name} got {data.size} bytes, '
                f'expected {expected}', party=peer, step='/'.join(self.path),
                remedy='all parties must run the same program on the same public shapes')
        return data

    async def receive_elements(self, peer: int, n: int, tag: int = 0) -> np.ndarray:
        """Receive n field elements, shape (n, 2), each below p."""
        elements = await self.receive(peer, (n, 2), tag=tag)
        self.check_elements(peer, elements)
        return elements

    def check_elements(self, peer: int, elements: np.ndarray) -> None:
        """Raise RemoteProtocolError `bad-element` where one is not below p.

        p itself would pass for zero in arithmetic, but not where shares are compared.
        """
        if not field.canonical(elements):
            raise self.bad_element(peer)

    def bad_element(self, peer: int) -> RemoteProtocolError:
        """The error where a peer has sent numbers that are no field elements."""
        return RemoteProtocolError(
            'bad-element', f'operation {self.name} got numbers that are not field elements',
            party=peer, step='/'.join(self.path),
            remedy='all parties must run the same SEPC version')

    def send_digest(self, peer: int, words: np.ndarray, tag: int = 0) -> None:
        """Vouch for what another party sends to `peer`: a one-time authenticator of the array.

        Poly1305 under a key that only this party and `peer` know, and only for this message: two
        different arrays of n bytes agree with probability below n·2^-107.
        """
        self._vouch(peer, self._digest(self.runtime.pid, peer, words, tag), tag)

    def _vouch(self, peer, digest, tag):
        self.bytes_sent += len(digest)
        self.messages += 1
        self.runtime.send_frame(peer, frames.ARRAY, (tag << 16) | _DIGEST, self.id, self.context,
                                digest)

    async def receive_digest(self, peer: int, tag: int = 0) -> bytes:
        """What `peer` vouches for, to be compared by `vouches`."""
        data = await self.runtime.receive_frame(peer, (tag << 16) | _DIGEST, self.id,
                                                self.context, self.name)
        return data.tobytes()

    def vouches(self, peer: int, digest: bytes, words: np.ndarray, tag: int = 0) -> bool:
        """Whether the digest that `peer` sent is that of the array."""
        return bytes_eq(digest, self._digest(peer, peer, words, tag))

    def _digest(self, sender, peer, words, tag):
        return Poly1305.generate_tag(self._digest_key(sender, peer, tag), _content(words))

    def _digest_key(self, sender, peer, tag):
        return self.of_pair(peer, b'digest%d' % sender, 4, tag).tobytes()

    def long_digest(self, sender: int, peer: int, tag: int) -> 'LongDigest':
        """The digest of several arrays one after the other, for `peer` or from it, as `sender`
        vouches for them; the tag is that of no other digest."""
        return LongDigest(Poly1305(self._digest_key(sender, peer, tag)))

    def send_long_digest(self, peer: int, digest: 'LongDigest', tag: int) -> None:
        """Vouch for what other parties have sent to `peer`; it compares by `LongDigest.equals`."""
        self._vouch(peer, digest.value, tag)

    def send_linear_digests(self, peers, elements: np.ndarray, tag: int = 0) -> None:
        """Vouch for field elements (n, 2) that other parties send to the peers, or that follow from
        what they send: to each peer Σ_k r^(n-1-k) x_k, with a random r that only this party and the
        peer know, and only for this message.

        Two different arrays agree with probability below n·2^-126. The digest of a linear
        combination is that of the digests, so whoever checks it need not compute the combination.
        """
        self.vouch(peers, field.evaluate([elements], self.points_to(peers, tag))[0], tag)

    def vouch(self, peers, digests: np.ndarray, tag: int = 0) -> None:
        """Send linear digests (k, 2), those at `points_to` the k peers."""
        for peer, digest in zip(peers, digests, strict=True):
            self._vouch(peer, digest.tobytes(), tag)

    def linear_digests(self, senders, arrays, tag: int = 0) -> np.ndarray:
        """Digests (j, k, 2) of j arrays of elements, under the keys for what k senders vouch for
        here."""
        return field.evaluate(arrays, self.points_from(senders, tag))

    def points_from(self, senders, tag: int = 0) -> np.ndarray:
        """The points (k, 2) of the linear digests that k senders vouch by here."""
        return self._digest_points([(p, p) for p in senders], tag)

    def points_to(self, peers, tag: int = 0) -> np.ndarray:
        """The points (k, 2) of those that this party vouches by to k peers."""
        return self._digest_points([(self.runtime.pid, peer) for peer in peers], tag)

    def _digest_points(self, keys, tag):
        words = [self.of_pair(peer, b'digest%d' % sender, 2, tag) for sender, peer in keys]
        return field.uniform(np.array(words, np.uint64).reshape(-1, 2))

    async def exchange(self, outgoing: dict[int, np.ndarray], sources, n: int,
                       tag: int = 0) -> list[np.ndarray]:
        """One round: send elements to each peer of `outgoing`, receive n from each source."""
        for peer, words in outgoing.items():
            self.send(peer, words, tag)
        arrays = [await self.receive_elements(peer, n, tag) for peer in sources]
        self.round()
        return arrays

    def round(self) -> None:
        """Count one round; every party counts it, whether or not it has messages in it."""
        if self.runtime.geometry.m > 1:
            self.rounds += 1

    async def compute(self, work: int, fn, *args):
        """Run a kernel: at once when it is small, else in the worker thread.

        `work` is a rough number of element operations, of a nanosecond each. A frame may have to
        wait half a millisecond for a kernel; the way to the worker and back takes longer than that
        on a busy machine.
        """
        if work < 500_000 or self.runtime.at_once:
            return self._timed(fn, *args)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.runtime.worker, self._timed, fn, *args)

    def _timed(self, fn, *args):
        if self.runtime.profile is None:
            return fn(*args)  # the clock of a thread costs a system call
        started = cpu_time()
        result = fn(*args)
        self.cpu += cpu_time() - started
        return result

    def finish(self) -> None:
        """Report the cost to the meter, or what has come since it was reported."""
        self.depth += self.rounds
        spent = (self.rounds, self.bytes_sent, self.messages, self.multiplications,
                 time.perf_counter() - self.started, self.depth, self.cpu, self.expected)
        if not self.reported:
            self.runtime.meter.record(self.path, *spent)
        elif self.messages:
            self.runtime.meter.add(self.path, *spent[:4])
        self.rounds = self.bytes_sent = self.messages = self.multiplications = 0
        self.reported = True
