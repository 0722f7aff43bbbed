"""Verified mode: how the honest parties notice a party that does not follow the protocol.

With m >= 3t + 1 the shares of the honest parties alone, 2t + 1 or more, fix every polynomial of
degree 2t, so a wrong share of an opened value cannot stay unnoticed. Three steps are enough for all
protocols of the engine, once the parties have compared their keys (`agree_on_keys`):

* an opening of degree d reaches a receiver as d shares, which fix the polynomial with its own, and
  as digests of the others, which must lie on it (`CheckedOpening`);
* a dealt sharing is checked by a random linear combination before it is used (`check_dealing`);
* what t + 1 parties know, one of them sends and t vouch for by digests (`send_jointly`).

Wrong, missing, truncated, repeated or contradictory messages end the run at whoever notices, before
any value is opened to the program: outputs wait for the word of all parties (`confirm`). Sources:
Ben-Or, Goldwasser, Wigderson, STOC 1988 (error detection for m >= 3t + 1); Dalskov, Escudero,
Keller, "Fantastic Four", USENIX Security 2021 (joint messages of four parties).
"""

import itertools

import numpy as np
from cryptography.hazmat.primitives.constant_time import bytes_eq

from engine import field
from engine.errors import RemoteProtocolError
from engine.operation import Operation
from engine.outside import consistent
from engine.prss import expand

_COIN, _CHECK, _ACK, _CONFIRM = 0xffe0, 0xffe1, 0xffe2, 0xffe3


def cheating(op, cause: str, suspects=()) -> RemoteProtocolError:
    """The error that ends a run; `suspects` are the parties that can have caused it."""
    suspects = sorted(suspects)
    party = suspects[0] if len(suspects) == 1 else None
    if len(suspects) > 1:
        cause += f'; one of the parties {suspects} deviated'
    return RemoteProtocolError(
        'cheating-detected', f'{op.name}: {cause}', party=party, step='/'.join(op.path),
        remedy='nothing more is opened here; replace that party before running again')


async def agree_on_keys(rt) -> None:
    """Compare the keys of all sets with the other holders; one round, before anything else.

    A set's key is drawn by its first member. Were it to give others different ones, honest parties
    would hold inconsistent masks, and no later check is made for that. Raises
    RemoteProtocolError `cheating-detected`. Bytes: 16 per set and ordered pair of its members.
    """
    op, g = Operation(rt, 'agree_on_keys', (len(rt.geometry.sets),)), rt.geometry
    common = {peer: [k for k in g.sets_of(rt.pid) if peer in g.sets[k]]
              for peer in range(g.m) if peer != rt.pid}

    async def body(op):
        for peer, sets in common.items():
            prints = b''.join(rt.randomness.fingerprint(k) for k in sets)
            op.send(peer, np.frombuffer(prints, np.uint8))
        for peer, sets in common.items():
            shown = (await op.receive(peer, (16 * len(sets),), np.uint8)).tobytes()
            for j, k in enumerate(sets):
                if not bytes_eq(shown[16 * j:16 * j + 16], rt.randomness.fingerprint(k)):
                    raise cheating(op, 'two parties hold different keys of one set',
                                   {peer, g.sets[k][0]} - {rt.pid})
        op.round()
    await rt.issue_value(op, [], body)


class CheckedOpening:
    """An opening of `degree`, at most 2t, to some receivers; any t parties may lie.

    A receiver gets `full` shares (`degree` by default) and m - 1 - full digests: 16 bytes per
    element and share, 16 per digest. With degree t it can be told to `correct`: then a receiver
    does without the shares that lie on another polynomial than m - t of all, and names who sent
    them. It finds that polynomial for certain with full = 2t; with full = t unless one of these t
    lied.
    """

    def __init__(self, op, degree: int, receivers, full: int | None = None, correct=False):
        self.op, self.degree, self.geometry = op, degree, op.runtime.geometry
        self.full = degree if full is None else full
        self.tolerated = self.geometry.t if correct and degree <= self.geometry.t else 0
        self.receivers: list[int] = sorted(receivers)
        self.senders = tuple(range(self.geometry.m))
        self.pid = op.runtime.pid

    def _senders(self, receiver):
        m = self.geometry.m
        others = [(receiver + k) % m for k in range(1, m)]
        return others[:self.full], others[self.full:]

    def send(self, own: np.ndarray, tag: int = 0) -> None:
        """Send this party's shares to those receivers that count on them, digests to the others."""
        vouched = []
        for receiver in self.receivers:
            if self.pid in self._senders(receiver)[0]:
                self.op.send(receiver, own, tag)
            elif receiver != self.pid:
                vouched.append(receiver)
        if vouched:
            self._vouch(vouched, own, tag)

    async def receive(self, own: np.ndarray, tag: int = 0, n: int | None = None):
        """(shares, parties): degree + 1 checked arrays (n, 2) that fix the opened values.

        `n`, which `Opening` needs, is the length of `own` here. Raises RemoteProtocolError
        `cheating-detected`.
        """
        held, digests = await self._arrived(own, tag)
        found, wrong = await self._agreed(held, digests, tag)
        if found is None:
            raise self._unclear(held, wrong)
        return found

    async def _arrived(self, own, tag):
        """The shares that are here, this party's first, and the digests of the others."""
        shares, others = self._senders(self.pid)
        held = {self.pid: own}
        for p in shares:
            held[p] = await self._elements(p, len(own), tag)
        return held, {p: await self.op.receive_digest(p, tag) for p in others}

    async def _agreed(self, held, digests, tag):
        """(shares, parties), with which all but `tolerated` parties agree, or None; and who does
        not agree with the last ones that were tried. Those who are tolerated are suspected."""
        for points in itertools.combinations(held, self.degree + 1):
            if self.pid not in points:
                break
            wrong = await self._disagreeing(held, digests, points, tag)
            if len(wrong) <= self.tolerated:
                if wrong:
                    self.op.runtime.suspect(self.op, wrong)
                return ([held[p] for p in points], points), set()
        return None, wrong

    def _unclear(self, held, wrong):
        """The error where no polynomial fits."""
        t, suspects = self.geometry.t, set(range(self.geometry.m)) - {self.pid}
        if self.degree <= t and len(wrong) <= t:
            suspects = wrong
        elif self.degree <= t and len(held) == self.degree + 1:
            # Had all of these been honest, no more than t would have disagreed with them.
            suspects = set(held) - {self.pid}
        return cheating(self.op, 'the shares of an opened value are not on one polynomial',
                        suspects)

    async def _disagreeing(self, held, digests, points, tag):
        """Parties whose share is not the one that the shares of `points` imply."""
        fixing = self._numbers([held[p] for p in points])
        wrong = set()
        for p in set(held).difference(points):
            if not np.array_equal(await self._implied(fixing, points, p), held[p]):
                wrong.add(p)
        return wrong | await self._contradicting(fixing, points, digests, tag)

    # What depends on the field; `engine.checked_fields` has the same for any field of MPyC's.

    async def _elements(self, party, n, tag):
        return await self.op.receive_elements(party, n, tag)

    def _numbers(self, shares):
        return shares

    async def _implied(self, fixing, points, party):
        """The share of `party` that those of `points` imply."""
        weights = self.geometry.recombination(points, party + 1)
        return await self.op.compute(4 * len(fixing[0]), field.combine, fixing, weights)

    def _vouch(self, receivers, own, tag):
        self.op.send_linear_digests(receivers, own, tag)

    async def _contradicting(self, fixing, points, digests, tag):
        """Parties whose digest is not that of the share that those of `points` imply."""
        if not digests:
            return set()
        known = await self.op.compute(len(fixing) * len(digests) * len(fixing[0]),
                                      self.op.linear_digests, digests, fixing, tag)
        return self._mismatched(known, points, digests)

    def _mismatched(self, known, points, digests):
        """Parties whose digest is not what the digests (degree + 1, k, 2) of the shares of `points`
        imply, under the keys of these k parties."""
        implied = {p: field.combine(known[:, j:j + 1], self.geometry.recombination(points, p + 1))
                   for j, p in enumerate(digests)}
        return {p for p, digest in digests.items() if not bytes_eq(digest, implied[p].tobytes())}


async def check_dealing(op, share: np.ndarray, dealer: int) -> None:
    """Check, at all parties but the dealer, that its sharing of n values is of degree t.

    The receivers compare Σ ρ^k s_k + r, with a point ρ that the dealer could not know when it
    dealt, and a random sharing r that hides the combination. For t = 1 the point comes from a key
    that all receivers hold and the dealer lacks: one round of 16 (m - 1)(m - 2) bytes. In general
    it is opened after everybody has confirmed its share: two rounds more. Shares that are not of
    degree t pass with probability below n·2^-126.
    """
    n, m = len(share), op.runtime.geometry.m
    receivers = [p for p in range(m) if p != dealer]
    mask = random_sharing(op, b'check')
    point = await _check_point(op, dealer)
    if point is not None:
        [combined] = await op.compute(n, field.evaluate, [share.reshape(n, 2)], point)
        own = field.add(combined, mask)
        await compare_on_polynomial(op, own, receivers, _CHECK, f'the sharing of party {dealer}')
    op.round()


async def compare_on_polynomial(op, own, parties, tag, what) -> None:
    """Among `parties`: each shows the others one element, and all must lie on one polynomial of
    degree t. Raises RemoteProtocolError `cheating-detected`, which says that `what` failed."""
    g, pid = op.runtime.geometry, op.runtime.pid
    others = [p for p in parties if p != pid]
    for peer in others:
        op.send(peer, own, tag)
    shown = {pid: own}
    for peer in others:
        shown[peer] = await op.receive_elements(peer, 1, tag)
    if not consistent(shown, g).all():
        # With t = 1 no honest party is suspected of what it would have done to itself.
        raise cheating(op, f'{what} could not be confirmed',
                       range(g.m) if g.t > 1 else set(range(g.m)) - {pid})


def random_sharing(op, purpose: bytes, count: int = 1) -> np.ndarray:
    """Random values (count, 2) in shares of degree t, unknown to any t parties; local."""
    g, pid = op.runtime.geometry, op.runtime.pid
    total = np.zeros((count, 2), np.uint64)
    for k in g.sets_of(pid):
        words = field.uniform(op.of_set(k, purpose, 2 * count).reshape(count, 2))
        total = field.add(total, field.affine(words, g.set_value(k, pid)))
    return total


async def coin(op, count: int) -> np.ndarray:
    """`count` random words that nobody knew before all parties had come this far; two rounds."""
    g = op.runtime.geometry
    await confirm(op, _ACK)
    opening = CheckedOpening(op, g.t, range(g.m))
    own = random_sharing(op, b'coin')
    opening.send(own, _COIN)
    shares, points = await opening.receive(own, _COIN)
    op.round()
    seed = field.combine(shares, g.recombination(tuple(points)))
    return expand(seed.tobytes(), b'coefficients', count)


async def _check_point(op, dealer):
    """A random element (1, 2) that the receivers, not the dealer, know after they have their
    shares."""
    rt, g = op.runtime, op.runtime.geometry
    if g.t == 0:
        words = np.ones(2, np.uint64)
    elif g.t > 1:
        words = await coin(op, 2)
    if rt.pid == dealer:
        return None
    if g.t == 1:
        [known] = [k for k, s in enumerate(g.sets) if dealer not in s]
        words = op.of_set(known, b'point', 2)
    return field.uniform(words.reshape(1, 2))


async def confirm(op, tag: int = _CONFIRM) -> None:
    """Go on only when all parties have come to this point, every check passed; one round."""
    rt = op.runtime
    for peer in range(rt.geometry.m):
        if peer != rt.pid:
            op.send(peer, np.empty(0, np.uint64), tag)
    for peer in range(rt.geometry.m):
        if peer != rt.pid:
            await op.receive(peer, (0,), tag=tag)
    op.round()


# --- what a group of t + 1 or more parties knows ---
#
# For layers above, too: a protocol in which single parties would have to be trusted lets t + 1 of
# them do the same work on the same words, and passes the result on as a joint message. One of the
# group is honest, so the receiver gets the right words or stops. What the group knows must be equal
# at all its members bit by bit: derive its randomness from a key that exactly the group, or a set
# around it, has (`Operation.of_set`), never from one that a single member draws.
#
#     group = speakers(members, t, op.rotation)
#     if op.runtime.pid in group:
#         send_jointly(op, group, receivers, words, tag)
#     if op.runtime.pid in receivers:
#         words = await receive_jointly(op, group, shape, np.uint64, tag)
#     op.round()

def speakers(group, t: int, rotation: int) -> tuple[int, ...]:
    """The one that sends and the t that vouch, of t + 1 or more that know the same words.

    `rotation` moves the work among the members; all parties must give the same one.
    """
    start = rotation % len(group)
    return (tuple(group) * 2)[start:start + t + 1]


def send_jointly(op, group, receivers, words: np.ndarray, tag: int) -> None:
    """At each party of `group` (t + 1 parties): send, or vouch for, the words to each receiver.

    The first of the group sends the words, each other one a digest of 16 bytes, so to every
    receiver the size of `words` and 16 t bytes go in all. The words must not change afterwards.
    `receivers` are outside of the group. A tag (below 0xffe0) may be used once per operation
    and receiver: it names the digest's one-time key. Within one round any number of joint messages
    can be under way; the caller counts the round (`op.round()`), at all parties alike.

    Reveals the words to the receivers, and nothing to anybody else.
    """
    send = op.send if op.runtime.pid == group[0] else op.send_digest
    for receiver in receivers:
        send(receiver, words, tag)


async def receive_jointly(op, group, shape, dtype, tag: int, elements=False) -> np.ndarray:
    """At a receiver: the words of `shape` that the first of `group` sends, once all others vouch.

    With `elements` they are field elements, shape (..., 2). Raises RemoteProtocolError:
    `cheating-detected` where two of the group differ (with t = 1 it names both, and one of them
    lied; a difference escapes with probability 2^-80 at most), `wrong-length`, `bad-element`; and
    PeerLost `peer-silent` at the idle deadline.
    """
    words = await op.receive(group[0], shape, dtype, tag)
    if elements:
        op.check_elements(group[0], words)
    for voucher in group[1:]:
        if not op.vouches(voucher, await op.receive_digest(voucher, tag), words, tag):
            raise cheating(op, 'two parties that know the same words sent different ones',
                           {group[0], voucher})
    return words
