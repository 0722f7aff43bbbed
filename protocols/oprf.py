"""Oblivious pseudorandom function of RFC 9497: OPRF(ristretto255, SHA-512), modes 0 and 1.

A server holds a key, a client an input; the client learns the PRF value of the input and the
server nothing. In mode 1 (VOPRF) the server also proves that one committed key gave all results.
The group is libsodium's, through `rbcl`; what is here is the RFC's hashing, blinding and proof,
batched over arrays of 32-byte encodings, shape (n, 32) and dtype uint8, in threads (the library
releases the interpreter lock; about 70 microseconds of one core per multiplication).

Sources: RFC 9497 (OPRF), RFC 9380, section 5.3.1 (expand_message_xmd), RFC 9496 (ristretto255).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import rbcl

from engine.errors import RemoteProtocolError

with contextlib.suppress(OSError, AttributeError):
    # At every import `rbcl` leaves a copy of libsodium among the temporary files. It is mapped by
    # now (where the system insists on keeping a file in use, it stays).
    os.unlink(rbcl.rbcl._sodium._name)

MODE_OPRF, MODE_VOPRF = 0, 1
ELEMENT_BYTES = SCALAR_BYTES = 32

Elements = npt.NDArray[np.uint8]
"""Encoded group elements or scalars, one row of 32 bytes each."""


def random_scalar() -> bytes:
    """A secret nonzero scalar: a key or a blind."""
    return rbcl.crypto_core_ristretto255_scalar_random()


def derive_key(seed: bytes, info: bytes, mode: int = MODE_OPRF) -> bytes:
    """DeriveKeyPair (3.2.1): the key for a 32-byte seed and a public label."""
    data = seed + len(info).to_bytes(2, 'big') + info
    for counter in range(256):
        key = _hash_to_scalar(data + bytes([counter]), b'DeriveKeyPair' + _context(mode))
        if any(key):
            return key
    raise ValueError('no key from this seed, expected a random one of 32 bytes')


def public_key(key: bytes) -> bytes:
    """The commitment to a key that a VOPRF server publishes."""
    return rbcl.crypto_scalarmult_ristretto255_base(key)


def hash_to_group(inputs: Sequence[bytes], mode: int = MODE_OPRF) -> Elements:
    """Group elements of inputs, whose discrete logarithms nobody knows."""
    tag = b'HashToGroup-' + _context(mode)
    return _mapped(lambda i: rbcl.crypto_core_ristretto255_from_hash(_expand(inputs[i], tag)),
                   len(inputs))


def blind(inputs: Sequence[bytes], mode: int = MODE_OPRF,
          blinds: Elements | None = None) -> tuple[Elements, Elements]:
    """(blinds, blinded elements): a fresh secret scalar for every input, unless given."""
    if blinds is None:
        blinds = _rows([random_scalar() for _ in inputs])
    return blinds, multiply(hash_to_group(inputs, mode), blinds)


def multiply(elements: Elements, scalars: Elements | bytes, party: int | None = None) -> Elements:
    """Elements times scalars (one for all, or one each).

    Raises RemoteProtocolError `bad-element`, with how many of them, when the encodings (sent by
    `party`) are not canonical, not of the group, or of its identity.
    """
    data = np.ascontiguousarray(elements).tobytes()
    each = scalars if isinstance(scalars, bytes) else np.ascontiguousarray(scalars).tobytes()
    step = 0 if isinstance(scalars, bytes) else SCALAR_BYTES
    wrong: list[int] = []

    def product(i: int) -> bytes:
        try:
            return rbcl.crypto_scalarmult_ristretto255(
                each[i * step:i * step + SCALAR_BYTES], data[32 * i:32 * i + 32])
        except RuntimeError:
            wrong.append(i)
            return bytes(ELEMENT_BYTES)
    result = _mapped(product, len(elements))
    if wrong:
        raise RemoteProtocolError(
            'bad-element', f'{len(wrong)} of {len(elements)} encodings are no ristretto255 group '
            'elements', party=party, remedy='all parties must run the same SEPC version')
    return result


def finalize(inputs: Sequence[bytes], blinds: Elements, evaluated: Elements,
             party: int | None = None) -> npt.NDArray[np.uint8]:
    """PRF values (n, 64) of the inputs from what the server evaluated (3.3.1).

    Raises RemoteProtocolError as `multiply`; `party` is the server.
    """
    return _hashed(inputs, multiply(evaluated, _inverses(blinds), party))


def evaluate(inputs: Sequence[bytes], key: bytes, mode: int = MODE_OPRF) -> npt.NDArray[np.uint8]:
    """PRF values (n, 64) of the key's holder's own inputs."""
    return _hashed(inputs, multiply(hash_to_group(inputs, mode), key))


# --- the proof of mode 1 ---

def prove(key: bytes, blinded: Elements, evaluated: Elements, nonce: bytes | None = None) -> bytes:
    """The proof that every evaluated element is the blinded one times `key` (2.2.1).

    Costs the server one more multiplication per element. `nonce` is for test vectors only.
    """
    public = public_key(key)
    weights = _weights(public, blinded, evaluated)
    combined = _sum(multiply(blinded, weights))
    weighted = rbcl.crypto_scalarmult_ristretto255(key, combined)
    nonce = nonce or random_scalar()
    challenge = _challenge(public, combined, weighted,
                           rbcl.crypto_scalarmult_ristretto255_base(nonce),
                           rbcl.crypto_scalarmult_ristretto255(nonce, combined))
    return challenge + rbcl.crypto_core_ristretto255_scalar_sub(
        nonce, rbcl.crypto_core_ristretto255_scalar_mul(challenge, key))


def verify(public: bytes, blinded: Elements, evaluated: Elements, proof: bytes,
           party: int | None = None) -> None:
    """Raise RemoteProtocolError `bad-proof` unless one key gave all elements (2.2.2).

    Costs the client two more multiplications per element.
    """
    weights = _weights(public, blinded, evaluated)
    combined, weighted = _sum(multiply(blinded, weights)), _sum(multiply(evaluated, weights, party))
    challenge, response = proof[:SCALAR_BYTES], proof[SCALAR_BYTES:]
    try:
        times, add = rbcl.crypto_scalarmult_ristretto255, rbcl.crypto_core_ristretto255_add
        first = add(rbcl.crypto_scalarmult_ristretto255_base(response), times(challenge, public))
        second = add(times(response, combined), times(challenge, weighted))
        right = _challenge(public, combined, weighted, first, second) == challenge
    except RuntimeError:
        right = False
    if not right:
        raise RemoteProtocolError(
            'bad-proof', f'the proof of {len(blinded)} evaluations does not hold for the public '
            'key', party=party, remedy='do not accept results of that party')


# --- the parts ---

@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix='group')


def _mapped(function: Callable[[int], bytes], count: int) -> Elements:
    """Rows function(0), …, function(count - 1), computed in threads."""
    parts = min(os.cpu_count() or 1, -(-count // 64))
    edges = [count * k // parts for k in range(parts + 1)] if parts else []
    done = _pool().map(lambda a, b: b''.join([function(i) for i in range(a, b)]),
                       edges[:-1], edges[1:])
    return np.frombuffer(b''.join(done), np.uint8).reshape(count, ELEMENT_BYTES)


def _rows(items: Sequence[bytes]) -> Elements:
    return np.frombuffer(b''.join(items), np.uint8).reshape(len(items), 32)


def _context(mode: int) -> bytes:
    return b'OPRFV1-' + bytes([mode]) + b'-ristretto255-SHA512'


def _expand(message: bytes, tag: bytes) -> bytes:
    """expand_message_xmd with SHA-512 to 64 bytes, which is one block of output."""
    suffix = tag + bytes([len(tag)])
    first = hashlib.sha512(bytes(128) + message + b'\0\x40\0' + suffix).digest()
    return hashlib.sha512(first + b'\1' + suffix).digest()


def _hash_to_scalar(message: bytes, tag: bytes) -> bytes:
    return rbcl.crypto_core_ristretto255_scalar_reduce(_expand(message, tag))


def _hashed(inputs: Sequence[bytes], elements: Elements) -> npt.NDArray[np.uint8]:
    data = elements.tobytes()
    return np.frombuffer(b''.join(
        hashlib.sha512(len(x).to_bytes(2, 'big') + x + b'\0\x20' + data[32 * i:32 * i + 32]
                       + b'Finalize').digest()
        for i, x in enumerate(inputs)), np.uint8).reshape(-1, 64)


def _inverses(scalars: Elements) -> Elements:
    """All inverses for the price of one and three products each (Montgomery's trick)."""
    product, rows = rbcl.crypto_core_ristretto255_scalar_mul, [bytes(r) for r in scalars]
    if not rows:
        return scalars
    prefixes = rows[:1]
    for row in rows[1:]:
        prefixes.append(product(prefixes[-1], row))
    rest = rbcl.crypto_core_ristretto255_scalar_invert(prefixes[-1])
    result = []
    for i in range(len(rows) - 1, 0, -1):
        result.append(product(rest, prefixes[i - 1]))
        rest = product(rest, rows[i])
    return _rows([*result, rest][::-1])


def _weights(public: bytes, blinded: Elements, evaluated: Elements) -> Elements:
    """The random-looking weights of ComputeComposites: one per element."""
    context = _context(MODE_VOPRF)
    seed = hashlib.sha512(_sized(public) + _sized(b'Seed-' + context)).digest()
    rows = []
    for i, (one, other) in enumerate(zip(blinded, evaluated, strict=True)):
        transcript = (_sized(seed) + i.to_bytes(2, 'big') + _sized(one.tobytes())
                      + _sized(other.tobytes()) + b'Composite')
        rows.append(_hash_to_scalar(transcript, b'HashToScalar-' + context))
    return _rows(rows)


def _challenge(*elements: bytes) -> bytes:
    transcript = b''.join(_sized(e) for e in elements) + b'Challenge'
    return _hash_to_scalar(transcript, b'HashToScalar-' + _context(MODE_VOPRF))


def _sum(elements: Elements) -> bytes:
    return functools.reduce(rbcl.crypto_core_ristretto255_add, [e.tobytes() for e in elements])


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, 'big') + data
