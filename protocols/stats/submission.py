"""An input party's rows as messages, one to each compute party.

An input party takes no part in the computation. It makes Shamir shares of its numbers with its own
randomness and sends every compute party one message over a channel that only that party can read:
t of the messages are a 32-byte seed from which the share is expanded, the others hold the share
itself. Any t messages together are independent of the numbers. A message is a fixed mark, the
length of its header, a header in JSON (sorted keys, no spaces) and the content; whatever is not
exactly as the manifest says is refused before anything else looks at it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from engine import field
from engine.errors import EngineError
from engine.outside import SEED, dealt, drawn
from engine.shamir import Geometry

_MARK = b'SEPC-submission-1'
_LENGTH = struct.Struct('<I')
_HEADER_LIMIT = 4096
_PURPOSE = b'submission'


class SubmissionError(EngineError):
    """A message of an input party that cannot be used; `institution` names it."""

    def __init__(self, code: str, cause: str, institution: str):
        super().__init__(code, f'submission of {institution}: {cause}', step='intake',
                         remedy='ask the institution to send its data again, made by the same '
                                'version from the same manifest')
        self.institution, self.reason = institution, cause


@dataclass(frozen=True)
class Expected:
    """What the manifest says of one institution's submission; public."""

    institution: str
    job: str
    period: str
    schema: str
    rows: int
    columns: int


def prepare(values: npt.NDArray[np.int64], expected: Expected, geometry: Geometry) -> list[bytes]:
    """The messages to the compute parties, in their order, from integers (rows, columns).

    Fresh randomness every time: to send again is to send another submission. The seeds and shares
    are secret from everybody but the one receiver.
    """
    values = np.asarray(values)
    if values.shape != (expected.rows, expected.columns):
        raise ValueError(f'{expected.institution}: numbers of shape {values.shape}, expected '
                         f'({expected.rows}, {expected.columns})')
    number = secrets.token_hex(16)
    contents = {p: secrets.token_bytes(SEED) for p in _seeded(expected, geometry)}
    shares = dealt(field.encode(values, 0).reshape(-1, 2), contents, _PURPOSE, geometry)
    contents |= {p: share.astype('<u8').tobytes() for p, share in shares.items()}
    messages = []
    for party in range(geometry.m):
        header = _header(expected, geometry, party, number)
        messages.append(_MARK + _LENGTH.pack(len(header)) + header + contents[party])
    return messages


def load(message: bytes, expected: Expected, geometry: Geometry,
         party: int) -> tuple[npt.NDArray[np.uint64], str]:
    """(share (rows, columns, 2), number of the submission) from a message to a compute party.

    Raises SubmissionError `bad-submission` for anything that `prepare` would not have made for
    this party, job, institution, period and shape.
    """
    def refuse(cause):
        return SubmissionError('bad-submission', cause, expected.institution)

    start = len(_MARK) + _LENGTH.size
    if len(message) < start or message[:len(_MARK)] != _MARK:
        raise refuse('not a submission of this version')
    (length,) = _LENGTH.unpack_from(message, len(_MARK))
    if length > _HEADER_LIMIT or len(message) < start + length:
        raise refuse(f'a header of {length} bytes')
    raw, content = message[start:start + length], message[start + length:]
    number = _number(raw)
    if number is None or raw != _header(expected, geometry, party, number):
        raise refuse(_difference(raw, expected, geometry, party))
    n = expected.rows * expected.columns
    if party in _seeded(expected, geometry):
        if len(content) != SEED:
            raise refuse(f'{len(content)} bytes of content, expected {SEED}')
        share = drawn(content, _PURPOSE, n)
    else:
        if len(content) != 16 * n:
            raise refuse(f'{len(content)} bytes of content, expected {16 * n}')
        share = np.frombuffer(content, '<u8').astype(np.uint64).reshape(n, 2)
        if not field.canonical(share):
            raise refuse('numbers that are not field elements')
    return share.reshape(expected.rows, expected.columns, 2), number


def schema_digest(description: dict) -> str:
    """A digest of the public description of a form, for `Expected.schema`."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=True, separators=(',', ':'))
    return hashlib.sha256(b'submission-schema/' + text.encode()).hexdigest()


def _header(expected, geometry, party, number):
    fields = {**asdict(expected), 'party': party, 'parties': geometry.m, 'threshold': geometry.t,
              'number': number}
    return json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(',', ':')).encode()


def _fields(raw):
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _number(raw):
    number = _fields(raw).get('number')
    right = isinstance(number, str) and len(number) == 32 and set(number) <= set('0123456789abcdef')
    return number if right else None


def _difference(raw, expected, geometry, party):
    """Which field of a header is not as expected, without quoting it."""
    fields, right = _fields(raw), _fields(_header(expected, geometry, party, '0' * 32))
    wrong = sorted(name for name in right if name != 'number'
                   and (type(fields.get(name)), fields.get(name)) !=
                   (type(right[name]), right[name]))
    return f'the header differs from the manifest in {", ".join(wrong) or "its form"}'


def _seeded(expected, geometry):
    """The t parties whose share is expanded from a seed; rotated, so that the load is even."""
    first = hashlib.sha256(expected.institution.encode()).digest()[0] % geometry.m
    return [(first + k) % geometry.m for k in range(geometry.t)]
