"""Verified mode: how the honest parties notice a party that does not follow the protocol.

With m >= 3t + 1 the shares of the honest parties alone, 2t + 1 or more, fix every polynomial of
degree 2t, so a wrong share of an opened value cannot stay unnoticed. Three steps are enough for all
protocols of the engine, once the parties have compared their keys (`agree_on_keys`):

* an opening of degree d reaches a receiver as d shares, which fix the polynomial with its own, and
  as digests of the others, which must lie on it (`CheckedOpening`);
* a dealt sharing is checked by a random linear combination before it is used (`check_dealing`);
* what t + 1 parties know, one of them sends and t vouch for by digests (`send_jointly`).

Wrong, missing, truncated, repeated or contradictory messages end the run at whoever notices, before
any value is opened to the program: outputs wait for the word of all parties (`confirm`, or the
seals of `engine.sealing`). Sources:
Ben-Or, Goldwasser, Wigderson, STOC 1988 (error detection for m >= 3t + 1); Dalskov, Escudero,
Keller, "Fantastic Four", USENIX Security 2021 (joint messages of four parties).
"""

import numpy as np
from cryptography.hazmat.primitives.constant_time import bytes_eq

from engine import field
from engine.checked_opening import CheckedOpening, cheating
from engine.operation import Operation
from engine.outside import consistent
from engine.prss import expand

_COIN, _CHECK, _CONFIRM = 0xffe0, 0xffe1, 0xffe2


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


async def check_dealing(op, share: np.ndarray, dealer: int) -> None:
    """Check, at all parties but the dealer, that its sharing of n values is of degree t.

    The receivers compare Σ ρ^k s_k + r, with a point ρ that the dealer could not know when it
    dealt, and a random sharing r that hides the combination. For t = 1 the point comes from a key
    that all receivers hold and the dealer lacks: one round of 16 (m - 1)(m - 2) bytes. In general
    it is a coin that opens once everybody has its share: one round more. Shares that are not of
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
    """`count` random words that nobody knew before all parties had come this far; one round."""
    g = op.runtime.geometry
    opening = CheckedOpening(op, g.t, range(g.m), sealed=True)
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


async def confirm(op) -> None:
    """Go on only when all parties have come to this point, every check passed; one round."""
    rt = op.runtime
    for peer in range(rt.geometry.m):
        if peer != rt.pid:
            op.send(peer, np.empty(0, np.uint64), _CONFIRM)
    for peer in range(rt.geometry.m):
        if peer != rt.pid:
            await op.receive(peer, (0,), tag=_CONFIRM)
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
