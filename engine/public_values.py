"""Public values on the wire: what MPyC's `transfer` exchanges, without pickles.

A value is a tag byte and its content; containers hold their items one after the other. Only plain
data is understood: None, bool, int, float, complex, str, bytes, list, tuple, set, dict, range,
NumPy arrays and scalars of numbers, MPyC's elements of finite fields and groups, and its arrays
over fields. Decoding builds nothing else and allocates no more than a small multiple of the bytes
it was given. An element names its field or group; only those that the receiving program has made
itself are looked up, and the constructor checks that the element belongs there.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from engine._mpyc import asyncoro, finfields, fingroups, gfpx
from engine.base import RuntimeBase
from engine.checked_opening import cheating
from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.mpyc_field import FIELD
from engine.operation import Operation
from engine.sharing import parties_of, party_numbers

_DEPTH = 64
_SIZE = struct.Struct('<I')
_DTYPES = {t: np.dtype(t).newbyteorder('<')
           for t in ('?', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8', 'f2', 'f4', 'f8',
                     'c8', 'c16')}
_CONTAINERS = {b'l': list, b't': tuple, b'S': set, b'Z': frozenset}
_SIMPLE = {b'N': None, b'T': True, b'F': False}


class PublicValues(RuntimeBase):
    """MPyC's `transfer` (a mix-in of `engine.runtime.Runtime`)."""

    gather: Callable[..., Any]
    send_public: Callable[[int, bytes], None]
    _receive_message: Callable[[int], Any]

    @asyncoro.mpc_coro
    async def transfer(self, obj, senders=None, receivers=None,
                       sender_receivers=None) -> asyncoro.Future:
        """Send public values of plain data between parties; who gets what is MPyC's.

        Awaitable: a list with one value per sender to this party, or the value itself if `senders`
        is a party number (None at a party that is no receiver). `sender_receivers` is a list of
        pairs or a dict from senders to receivers, the same at all parties. One round. Raises
        LocalProtocolError `no-pickles` for a value that is not plain data, and ValueError for
        numbers that are none of a party.

        In verified mode the receivers of a sender compare what they got, in one round more and 16
        bytes for every two of them and each sender: RemoteProtocolError `cheating-detected` where
        a sender told them different things. What it tells is its own word, in either mode.
        """
        m = self.geometry.m
        if sender_receivers is None:
            sent_to = party_numbers(parties_of(receivers, m, 'receivers'), m, 'receivers')
            pairs = [(a, b) for a in party_numbers(senders, m, 'senders') for b in sent_to]
        elif isinstance(sender_receivers, dict):
            pairs = [(a, b) for a, to in sender_receivers.items() for b in to]
        else:
            pairs = list(sender_receivers)
        party_numbers({p for pair in pairs for p in pair}, m, 'sender_receivers')
        op = Operation(self, 'transfer') if self.geometry.verified else None
        mine = None
        for receiver in [b for a, b in pairs if a == self.pid]:
            mine = encode(obj) if mine is None else mine
            if receiver != self.pid:
                self.send_public(receiver, mine)
        sources = [a for a, b in pairs if b == self.pid]
        data = await self.gather([mine if a == self.pid else self._receive_message(a)
                                  for a in sources])
        if op is not None:
            await self.issue_value(op, [], _compared(pairs, dict(zip(sources, data, strict=True))))
        values = [decode(d, a) for a, d in zip(sources, data, strict=True)]
        if isinstance(senders, int):
            return values[0] if values else None
        return values


def _compared(pairs, data):
    """The body of an operation in which all receivers of a sender compare what they got."""
    async def body(op):
        pid, t = op.runtime.pid, op.runtime.geometry.t
        heard = {a: np.frombuffer(d, np.uint8) for a, d in data.items() if a != pid}
        others = {a: sorted({b for s, b in pairs if s == a} - {a, pid}) for a in heard}
        for sender, words in heard.items():
            for peer in others[sender]:
                op.send_digest(peer, words, sender)
        for sender, words in heard.items():
            for peer in others[sender]:
                digest = await op.receive_digest(peer, sender)
                if not op.vouches(peer, digest, words, sender):
                    raise cheating(op, f'party {sender} told two parties different things',
                                   {sender, peer} if t == 1 else ())
        op.round()
    return body


def encode(value) -> bytes:
    """Bytes of a public value; LocalProtocolError `no-pickles` for what is not plain data."""
    parts: list[bytes] = []
    _write(value, parts, 0)
    return b''.join(parts)


def decode(data: bytes, peer: int):
    """The value that `peer` sent; RemoteProtocolError `bad-value` for anything malformed."""
    try:
        value, end = _read(memoryview(data), 0, 0)
        if end != len(data):
            raise ValueError('bytes after the value')
    except Exception as exc:  # also what a constructor makes of odd coordinates
        raise RemoteProtocolError(
            'bad-value', f'a transferred value could not be read ({type(exc).__name__})',
            party=peer, remedy='install the same SEPC version at all parties') from None
    return value


def _write(value, parts, depth):
    if depth > _DEPTH:
        raise LocalProtocolError('no-pickles', f'a value nested deeper than {_DEPTH} levels',
                                 remedy='transfer flatter data')
    kind = type(value)
    if value is None or kind is bool:
        parts.append(b'N' if value is None else b'T' if value else b'F')
    elif kind is int:
        _write_bytes(b'i', _int_bytes(value), parts)
    elif kind is float:
        parts.append(b'f' + struct.pack('<d', value))
    elif kind is complex:
        parts.append(b'c' + struct.pack('<dd', value.real, value.imag))
    elif kind is str:
        _write_bytes(b's', value.encode('utf-8', 'surrogatepass'), parts)
    elif kind in (bytes, bytearray):
        _write_bytes(b'b', bytes(value), parts)
    elif isinstance(value, (np.ndarray, np.generic)) and value.dtype.str[1:] in _NAMES:
        _write_array(value, parts)
    elif kind is range:
        parts.append(b'R')
        for number in (value.start, value.stop, value.step):
            _write_bytes(b'', _int_bytes(number), parts)
    elif isinstance(value, (finfields.FiniteFieldElement, gfpx.Polynomial)):
        parts.append(b'e')
        for number in (*_identity(type(value)), int(getattr(value, 'unsigned_', value.__int__)())):
            _write_bytes(b'', _int_bytes(number), parts)
    elif isinstance(value, finfields.FiniteFieldArray):
        parts.append(b'E')
        for number in _identity(value.field):
            _write_bytes(b'', _int_bytes(number), parts)
        _write_bytes(b'', ' '.join(map(str, value.shape)).encode(), parts)
        width, flat = _width(value.field), value.value.ravel()
        _write_bytes(b'', b''.join(int(v).to_bytes(width, 'little') for v in flat), parts)
    elif isinstance(value, fingroups.FiniteGroupElement):
        _write_bytes(b'G', type(value).__name__.encode(), parts)
        _write(value.value, parts, depth + 1)
    elif isinstance(value, dict):
        parts.append(b'd' + _SIZE.pack(len(value)))
        for pair in value.items():
            for item in pair:
                _write(item, parts, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        tag = b'l' if isinstance(value, list) else b't' if isinstance(value, tuple) else \
            b'S' if isinstance(value, set) else b'Z'
        parts.append(tag + _SIZE.pack(len(value)))
        for item in value:
            _write(item, parts, depth + 1)
    else:
        raise LocalProtocolError(
            'no-pickles', f'transfer() cannot send a {kind.__module__}.{kind.__qualname__}',
            remedy='send numbers, strings, bytes, lists, tuples, dicts or numeric NumPy arrays')


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, 'little', signed=True)


def _write_bytes(tag, data, parts):
    parts += [tag, _SIZE.pack(len(data)), data]


_NAMES = {d.str[1:]: name for name, d in _DTYPES.items()}


def _write_array(value, parts):
    name = _NAMES[value.dtype.str[1:]]
    array = np.asarray(value)
    header = f'{name} {" ".join(map(str, array.shape))}'.encode()
    _write_bytes(b'a' if isinstance(value, np.ndarray) else b'g', header, parts)
    _write_bytes(b'', array.astype(_DTYPES[name]).tobytes(), parts)


def _read_bytes(data, at):
    [size] = _SIZE.unpack_from(data, at)
    at += _SIZE.size
    if size > len(data) - at:
        raise ValueError('length beyond the end')
    return bytes(data[at:at + size]), at + size


def _read_int(data, at):
    raw, at = _read_bytes(data, at)
    return int.from_bytes(raw, 'little', signed=True), at


def _read(data, at, depth):
    """(value, position after it)."""
    if depth > _DEPTH:
        raise ValueError('nested too deep')
    tag, at = bytes(data[at:at + 1]), at + 1
    if tag in _SIMPLE:
        return _SIMPLE[tag], at
    if tag == b'i':
        return _read_int(data, at)
    if tag == b'f':
        return struct.unpack_from('<d', data, at)[0], at + 8
    if tag == b'c':
        return complex(*struct.unpack_from('<dd', data, at)), at + 16
    if tag in (b's', b'b'):
        raw, at = _read_bytes(data, at)
        return (raw if tag == b'b' else raw.decode('utf-8', 'surrogatepass')), at
    if tag in (b'a', b'g'):
        return _read_array(data, at, tag)
    if tag == b'R':
        start, at = _read_int(data, at)
        stop, at = _read_int(data, at)
        step, at = _read_int(data, at)
        return range(start, stop, step), at
    if tag == b'e':
        return _read_element(data, at)
    if tag == b'E':
        return _read_field_array(data, at)
    if tag == b'G':
        return _read_group_element(data, at, depth)
    if tag not in _CONTAINERS and tag != b'd':
        raise ValueError('unknown tag')
    [count] = _SIZE.unpack_from(data, at)
    at += _SIZE.size
    count *= 2 if tag == b'd' else 1
    if count > len(data) - at:
        raise ValueError('more items than bytes')
    items = []
    for _ in range(count):
        item, at = _read(data, at, depth + 1)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if tag == b'd'
            else _CONTAINERS[tag](items)), at


def _read_array(data, at, tag):
    header, at = _read_bytes(data, at)
    raw, at = _read_bytes(data, at)
    name, *dims = header.decode('ascii').split(' ')
    dtype = _DTYPES[name]
    shape = _shape(dims, dtype.itemsize, raw)
    if name == '?' and raw.strip(b'\0\1'):
        raise ValueError('a boolean is 0 or 1')
    array = np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder('='))
    if tag == b'a':
        return array, at
    if shape:
        raise ValueError('a scalar has no axes')
    return array[()], at


def _shape(dims, width, raw):
    """The shape of an array of entries of `width` bytes, which `raw` holds."""
    shape = tuple(int(d) for d in dims if d)
    # Bounded before NumPy sees it: it would take a -1, and an empty array of any shape is cheap.
    if len(shape) > 32 or any(not 0 <= d < 1 << 40 for d in shape) or \
            math.prod(shape) * width != len(raw):
        raise ValueError('shape does not fit the data')
    return shape


def _width(cls) -> int:
    """Bytes that hold any element of a field."""
    return ((cls.order - 1).bit_length() + 7) // 8


def _identity(cls) -> tuple[int, int]:
    """What tells fields and polynomial rings apart: characteristic and modulus, or -1 and p."""
    if cls is FIELD:
        return 0, 0
    return (-1, cls.p) if issubclass(cls, gfpx.Polynomial) else \
        (cls.characteristic, int(cls.modulus))


def _made(base):
    """All classes that the program has derived from `base`."""
    for cls in base.__subclasses__():
        yield cls
        yield from _made(cls)


def _read_ring(data, at):
    """The field or polynomial ring of elements that follow."""
    identity = [0, 0]
    identity[0], at = _read_int(data, at)
    identity[1], at = _read_int(data, at)
    rings = identity[0] < 0
    return next(c for c in _made(gfpx.Polynomial if rings else finfields.FiniteFieldElement)
                if (c.p if rings else c.order) and _identity(c) == tuple(identity)), at


def _read_element(data, at):
    cls, at = _read_ring(data, at)
    number, at = _read_int(data, at)
    if number < 0 or (issubclass(cls, finfields.FiniteFieldElement) and number >= cls.order):
        raise ValueError('not reduced')
    return cls(number), at


def _read_field_array(data, at):
    cls, at = _read_ring(data, at)
    header, at = _read_bytes(data, at)
    raw, at = _read_bytes(data, at)
    width = _width(cls)
    shape = _shape(header.decode('ascii').split(' '), width, raw)
    numbers = np.empty(len(raw) // width, object)
    numbers[:] = [int.from_bytes(raw[k:k + width], 'little') for k in range(0, len(raw), width)]
    if any(number >= cls.order for number in numbers):
        raise ValueError('not reduced')
    return cls.array(numbers.reshape(shape)), at


def _read_group_element(data, at, depth):
    name, at = _read_bytes(data, at)
    value, at = _read(data, at, depth + 1)
    cls = next(c for c in _made(fingroups.FiniteGroupElement) if c.__name__ == name.decode())
    if not issubclass(cls, fingroups.HCDivisorCL):
        return cls(value), at
    # MPyC's own check of these cannot run; the last two of six coordinates follow from the others.
    element = cls(tuple(value)[:4], check=False)
    if not all(isinstance(c, cls.field) for c in element.value) or \
            (element.f - element.v**2) % element.u != 0:
        raise ValueError('not in the Jacobian')
    return element, at
