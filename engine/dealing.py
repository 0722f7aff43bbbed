"""Dealing: how the owner of a value makes Shamir shares of it with few messages.

t of the other parties take a pseudorandom share that they and the dealer derive from their pairwise
key; these and the value fix the polynomial, and the dealer sends the remaining parties theirs.
"""


from engine import field
from engine.shamir import lagrange

DEAL = b'deal'


def deal_roles(geometry, owner: int, rotation: int):
    """(seeded, sent): the t parties whose share of a deal is pseudorandom, and the others."""
    m, t = geometry.m, geometry.t
    others = [(owner + 1 + (rotation + k) % (m - 1)) % m for k in range(m - 1)]
    return others[:t], others[t:]


def deal_shares(op, rt, values, seeded, sent, purpose=DEAL):
    """At the dealer: shares {party: array} for itself and for those that are sent theirs."""
    n = len(values)
    drawn = {p: field.uniform(op.of_pair(p, purpose, 2 * n).reshape(n, 2)) for p in seeded}
    return remaining_shares(values, drawn, (rt.pid, *sent))


def remaining_shares(values, drawn, parties):
    """Shares {party: array (n, 2)} of elements (n, 2), where t other parties have drawn theirs."""
    parts = [values, *drawn.values()]
    points = [0, *[p + 1 for p in drawn]]
    return {p: field.combine(parts, field.table(lagrange(points, p + 1))) for p in parties}
