"""Results for parties outside of the computation: a message from every compute party.

A regulator that only receives, or an institution that gets its own figures, takes no part in the
computation. Every compute party sends it one message with fresh shares of what is for it, over a
channel of its own, and what everybody in the computation knows anyway (`public`). The receiver
compares: all messages must be of one job and say the same in public, and all shares must lie on
polynomials of degree t (`engine.outside`). So a compute party that lies is noticed as long as
m > t + 1, and named where m >= 3t + 1.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import costs, field, outside
from engine.array import SecureArray, constant
from engine.errors import EngineError
from engine.operation import Operation
from engine.shamir import Geometry
from engine.verified import confirm

_MARK = b'SEPC-result-1'
_LENGTH = struct.Struct('<I')
HEADER_LIMIT = 1 << 24

Shares = dict[str, tuple[npt.NDArray[np.uint64], int]]
"""By name: this party's share (*shape, 2), and its fractional bits."""


async def sealed(mpc, arrays: dict[str, SecureArray]) -> Shares:
    """Fresh shares of arrays, ready to leave the computation; one product each, one round.

    In verified mode one round more, as before an output: all parties confirm that they have come so
    far with every check passed.
    """
    fresh = {name: x * constant(mpc, np.ones(x.shape, np.int64)) for name, x in arrays.items()}
    shares = {name: (np.ascontiguousarray(await x.ready()), x.frac) for name, x in fresh.items()}
    if mpc.geometry.verified:
        op = Operation(mpc, 'confirm')
        op.expected = costs.Prediction(1, 0)
        await mpc.issue_value(op, [], confirm)
    return shares


async def opened_by(mpc, arrays: dict[str, SecureArray],
                    receivers=None) -> dict[str, npt.NDArray] | None:
    """The same arrays opened to parties of the computation; None at the others.

    Python integers, or floats where there are fractional bits, as from `put_together`.
    """
    pending = {name: mpc.open_array(x, receivers, raw=not x.frac) for name, x in arrays.items()}
    opened = {name: await value for name, value in pending.items()}
    return None if any(value is None for value in opened.values()) else opened


async def handed_over(mpc, arrays: dict[str, SecureArray], outside: bool, receivers,
                      publish: Callable[[dict[str, npt.NDArray]], dict[str, Any]]
                      ) -> dict[str, Any]:
    """What a statistic ends with: {'outputs': what the receivers publish of the opened arrays}.

    At other parties the outputs are empty, and so they are where the receiver is `outside`: there
    'sealed' holds the shares that are sent to it.
    """
    if outside:
        return {'outputs': {}, 'sealed': await sealed(mpc, arrays)}
    opened = await opened_by(mpc, arrays, receivers)
    return {'outputs': {} if opened is None else publish(opened)}


def pack(shares: Shares, public: dict[str, Any], job: str, geometry: Geometry,
         party: int) -> bytes:
    """The message of a compute party."""
    fields = {'job': job, 'party': party, 'parties': geometry.m, 'threshold': geometry.t,
              'public': public,
              'arrays': [[name, list(x.shape[:-1]), frac] for name, (x, frac) in shares.items()]}
    header = json.dumps(fields, sort_keys=True, separators=(',', ':')).encode()
    content = b''.join(x.astype('<u8').tobytes() for x, _ in shares.values())
    return _MARK + _LENGTH.pack(len(header)) + header + content


def put_together(messages: list[bytes], job: str,
                 geometry: Geometry) -> tuple[dict[str, Any], dict[str, npt.NDArray]]:
    """(what is public, arrays by name) from the messages of all compute parties in their order.

    Arrays hold Python integers, or floats where there are fractional bits. Raises EngineError
    `bad-result` naming a party whose message is malformed, and `results-disagree` if the messages
    do not fit each other.
    """
    read = [_read(message, job, geometry, party) for party, message in enumerate(messages)]
    said = [(public, arrays) for public, arrays, _ in read]
    if any(each != said[0] for each in said):
        raise _disagree('the parties say different things in public', _few(said, geometry))
    public, layout, _ = read[0]
    values = {}
    for k, (name, shape, frac) in enumerate(layout):
        shares = {party: contents[k] for party, (_, _, contents) in enumerate(read)}
        whole = outside.opened(shares, geometry)
        if whole is None:
            raise _disagree('the shares are not those of one sharing',
                            outside.deviating(shares, geometry))
        if frac:
            values[name] = field.decode_float(whole, frac).reshape(shape)
        else:
            signed = field.to_ints(whole)
            values[name] = np.where(signed > field.P // 2, signed - field.P, signed).reshape(shape)
    return public, values


def _read(message, job, geometry, party):
    """(public, [[name, shape, frac]], contents) of one message."""
    start = len(_MARK) + _LENGTH.size
    try:
        if message[:len(_MARK)] != _MARK:
            raise ValueError
        (length,) = _LENGTH.unpack_from(message, len(_MARK))
        if length > HEADER_LIMIT:
            raise ValueError
        fields = json.loads(message[start:start + length])
        stated = [fields[name] for name in ('job', 'party', 'parties', 'threshold')]
        if stated != [job, party, geometry.m, geometry.t]:
            raise ValueError
        at, contents = start + length, []
        for name, shape, frac in fields['arrays']:
            if not isinstance(name, str) or not 0 <= int(frac) <= 60:
                raise ValueError
            n = int(np.prod(np.array(shape, np.int64), initial=1))
            if n < 0 or any(s < 0 for s in shape) or len(message) < at + 16 * n:
                raise ValueError
            share = np.frombuffer(message, '<u8', 2 * n, at).astype(np.uint64).reshape(n, 2)
            if not field.canonical(share):
                raise ValueError
            contents.append(share)
            at += 16 * n
        if at != len(message):
            raise ValueError
        return fields['public'], fields['arrays'], contents
    except (ValueError, KeyError, TypeError, RecursionError, struct.error, OverflowError):
        raise EngineError('bad-result', 'a result message that is not as the manifest says',
                          step='receive', party=party,
                          remedy='check that all parties run the same version') from None


def _few(said, geometry):
    """Up to t parties that say something else than all others, where these are 2t + 1 or more."""
    g = geometry
    for each in said:
        others = {party for party, one in enumerate(said) if one != each}
        if g.m >= 3 * g.t + 1 and len(others) <= g.t:
            return others
    return set()


def _disagree(cause, parties):
    """`parties` are those that do not fit the others, empty where that cannot be told."""
    only = min(parties) if len(parties) == 1 else None
    if len(parties) > 1:
        cause += f'; the parties {sorted(parties)} do not fit the others'
    return EngineError('results-disagree', cause, step='receive', party=only,
                       remedy='do not use the result; compare the audit logs of the compute '
                              'parties')
