"""From messages of input parties to shared arrays: checked, and the bad ones refused by name.

1. Every compute party loads its messages, and all tell each other which they could load, and the
   numbers of the submissions. An institution counts only if all parties hold parts of one
   submission.
2. Then a random number is opened, and with coefficients from it each party shows
   Σ ρ_k s_k + r, r a random sharing: the points must lie on a polynomial of degree t. Otherwise
   the institution dealt inconsistently (or a compute party lies: either way its data is refused).
   A wrong sharing passes with probability 2^-120.
3. Columns that must be bits: Σ ρ (x² - x) opens, and is zero. Numbers that must be in a range:
   one bit per number opens, the same for every honest input (`Runtime.check_range`, then the signs
   of the form's claims).

In verified mode up to t compute parties may lie in all this. They cannot have data counted that an
institution did not share, nor make two honest parties decide differently. They can have an
institution refused: a wrong point in step 2 may be the institution's or the party's.

What is wrong is refused by name, and the others go on if at least `quorum` are left. Revealed to
all compute parties: which institutions were refused and in which step, and of a refused one how
many claims failed; of an accepted one nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import costs, field
from engine.array import SecureArray
from engine.checked_opening import cheating
from engine.costs_verified import DIGEST
from engine.errors import EngineError, RemoteProtocolError
from engine.operation import Operation
from engine.outside import consistent
from engine.prss import expand
from engine.query import random_elements
from protocols.stats.submission import Expected, SubmissionError, load


@dataclass
class Intake:
    """Accepted submissions, stacked (institutions, rows, columns), and who was refused and why."""

    institutions: list[str]
    values: SecureArray
    refused: dict[str, str]


@dataclass
class Parts:
    """What `intake_parts` accepts: `values` by part, stacked in the order of `institutions`."""

    institutions: list[str]
    values: dict[str, SecureArray]
    refused: dict[str, str]


async def intake_parts(mpc, forms: dict[str, Any], expected: dict[str, list[Expected]],
                       messages: dict[str, dict[str, bytes | None]], *,
                       quorum: int | None = None) -> Parts:
    """`intake` of several parts, each of all institutions, in the order of `forms`.

    An institution counts if all of its parts do; `quorum`, errors and what is revealed are as for
    `intake`, and the costs those of the parts one after the other.
    """
    found = {part: await intake(mpc, form, expected[part], messages[part], quorum=quorum)
             for part, form in forms.items()}
    refused = {name: why for one in found.values() for name, why in one.refused.items()}
    asked = [e.institution for e in expected[next(iter(forms))]]
    names = [name for name in asked if name not in refused]
    _enough(len(names), len(asked), refused, quorum)
    values = {part: one.values.take([one.institutions.index(name) for name in names], axis=0)
              for part, one in found.items()}
    return Parts(names, values, refused)


async def intake(mpc, form: Any, expected: list[Expected], messages: dict[str, bytes | None], *,
                 quorum: int | None = None) -> Intake:
    """Load and check the submissions of all institutions, in the order of `expected`.

    `messages` maps an institution to this party's message, or to None where nothing came. With
    fewer than `quorum` (default: all) good ones raises EngineError `too-few-submissions`, at all
    parties. Per accepted number about 57 bytes per party, and 27 for each claim; 47 rounds when
    all is well, and 30 more for each institution when something is out of range.
    """
    if any((e.rows, e.columns) != form.shape for e in expected):
        raise ValueError(f'submissions of shapes {sorted({(e.rows, e.columns) for e in expected})},'
                         f' but the form is for {form.shape}')
    shares, refused = await _loaded(mpc, expected, messages)
    for check in (_check_degree, _check_bits, _check_ranges):
        names = list(shares)
        if names:
            for name, reason in (await check(mpc, form, names, list(shares.values()))).items():
                refused[name] = reason
                del shares[name]
    _enough(len(shares), len(expected), refused, quorum)
    return Intake(list(shares), mpc.stack(list(shares.values())), refused)


def _enough(count, asked, refused, quorum):
    least = max(1, asked if quorum is None else quorum)
    if count < least:
        said = '; '.join(f'{name}: {reason}' for name, reason in refused.items())
        raise EngineError('too-few-submissions', f'{count} of {asked} submissions '
                          f'can be used, expected at least {least} ({said})',
                          step='intake', remedy='ask the institutions named to send again')


async def _loaded(mpc, expected, messages):
    """Arrays of those institutions whose messages all parties could load, and the others."""
    own, status = {}, np.zeros((len(expected), 3), np.uint64)
    for k, e in enumerate(expected):
        message = messages.get(e.institution)
        if message is None:
            continue
        try:
            own[k], number = load(message, e, mpc.geometry, mpc.pid)
        except SubmissionError:
            status[k, 0] = 2
        else:
            status[k] = 1, int(number[:16], 16), int(number[16:], 16)
    shown = await _shown(mpc, 'submissions', status)
    shares, refused = {}, {}
    for k, e in enumerate(expected):
        codes = shown[:, k, 0].tolist()
        if codes == [1] * len(codes) and (shown[:, k] == shown[0, k]).all():
            shares[e.institution] = SecureArray(mpc, own[k].shape[:-1], 0, own[k])
        else:
            refused[e.institution] = _trouble(codes)
    return shares, refused


def _trouble(codes):
    missing = [p for p, code in enumerate(codes) if code == 0]
    broken = [p for p, code in enumerate(codes) if code not in (0, 1)]
    if len(missing) == len(codes):
        return 'nothing was submitted'
    if broken:
        return f'the message to parties {broken} is not as the manifest says'
    if missing:
        return f'no message to parties {missing}'
    return 'the parties hold parts of different submissions'


async def _check_degree(mpc, form, names, shares):
    """Whose sharings are not of degree t."""
    coefficients = await _coefficients(mpc, shares)
    masks = random_elements(mpc, (len(shares),))

    def combined(masks, *arrays):
        sums = [field.total(field.mul(a.reshape(-1, 2), c)) for a, c in
                zip(arrays, coefficients, strict=True)]
        return field.add(masks, np.stack(sums))
    mixed = mpc.local('combine', [masks, *shares], combined, (len(shares),), 0,
                      sum(s.size for s in shares))
    shown = await _shown(mpc, 'check_degree', await mpc.gather(mixed))
    if not field.canonical(shown):
        raise RemoteProtocolError(
            'bad-element', 'a party showed numbers that are not field elements', step='intake',
            remedy='all parties must run the same SEPC version')
    right = consistent(dict(enumerate(shown)), mpc.geometry)
    return {name: 'its shares are not consistent'
            for name, fits in zip(names, right, strict=True) if not fits}


async def _check_bits(mpc, form, names, shares):
    """Whose columns hold something else than bits where bits are due."""
    if not form.bits:
        return {}
    columns = [s[:, form.bits] for s in shares]
    coefficients = await _coefficients(mpc, columns)

    def squares(*arrays):
        sums = []
        for a, c in zip(arrays, coefficients, strict=True):
            a = np.ascontiguousarray(a).reshape(-1, 2)
            sums.append(field.total(field.mul(c, field.sub(field.mul(a, a), a))))
        return np.stack(sums)
    sums = mpc.product('multiply', columns, squares, (len(names),), 0, 0,
                       work=8 * sum(c.size for c in columns))
    opened = await mpc.output(sums, raw=True)
    return {name: 'a column of zeros and ones holds something else'
            for name, value in zip(names, opened.tolist(), strict=True) if value}


async def _check_ranges(mpc, form, names, shares):
    """Whose numbers are out of their range: all at once, and one by one if that fails."""
    if not await _fit(mpc, mpc.concatenate(shares)):
        fits = [await _fit(mpc, share) for share in shares]
    else:
        fits = [True] * len(names)
    wrong = {name: 'a number is outside of all ranges'
             for name, fit in zip(names, fits, strict=True) if not fit}
    left = [(name, form.claims(mpc, share))
            for name, share, fit in zip(names, shares, fits, strict=True) if fit]
    if left:
        negative = await mpc.open_negative(mpc.concatenate([claims for _, claims in left]))
        parts = np.split(negative, np.cumsum([claims.size for _, claims in left])[:-1])
        for (name, _), bits in zip(left, parts, strict=True):
            if bits.any():
                wrong[name] = f'{int(bits.sum())} numbers are outside of what the manifest allows'
    return wrong


async def _fit(mpc, x):
    try:
        await mpc.check_range(x, 63)
    except RemoteProtocolError as error:
        if error.code != 'out-of-range':
            raise
        return False
    return True


async def _coefficients(mpc, arrays):
    """Random coefficients that nobody knew when the shares were fixed."""
    coin = await mpc.output(random_elements(mpc, (1,)), raw=True)
    seed = (int(coin[0]) % field.P).to_bytes(16, 'little')
    return [field.uniform(expand(seed, b'intake%d' % k, 2 * a.size).reshape(a.size, 2))
            for k, a in enumerate(arrays)]


async def _shown(mpc, name, words):
    """What every party shows to all others, in the order of the parties; one round.

    What is decided from it must be decided by all alike. So in verified mode they compare what they
    have seen, in one round more: RemoteProtocolError `cheating-detected` where a party has shown
    two others different words.
    """
    op = Operation(mpc, name, words.shape)
    m = mpc.geometry.m
    op.expected = costs.sequence(m, *shown_cost(words.nbytes, m, mpc.geometry.verified))
    others = [p for p in range(m) if p != mpc.pid]

    async def body(op):
        for peer in others:
            op.send(peer, words)
        shown = np.stack([words if p == mpc.pid else await op.receive(p, words.shape)
                          for p in range(m)])
        op.round()
        if mpc.geometry.verified:
            for peer in others:
                op.send_digest(peer, shown)
            for peer in others:
                if not op.vouches(peer, await op.receive_digest(peer), shown):
                    raise cheating(op, f'this party and party {peer} were shown different words')
            op.round()
        return shown
    return await mpc.issue_value(op, [], body)


def shown_cost(size: int, m: int, verified: bool = False) -> list[costs.Prediction]:
    """What every party shows to all others, `size` bytes each."""
    steps = [costs.Prediction(1, size * m * (m - 1))]
    return [*steps, costs.Prediction(1, DIGEST * m * (m - 1))] if verified else steps

