"""Pseudorandom secret sharing: correlated randomness from keys, without communication.

Every set A of m - t parties has a key known exactly to A, and every pair of parties has a pairwise
key. Both kinds are expanded by AES-128 in counter mode over whole arrays. An expansion is named by
(key, session, operation, purpose, piece) and each name is used once: the name is hashed to the
96-bit initial counter block, so nothing that names a different draw ever repeats a keystream.

Sources: Cramer, Damgård, Ishai, TCC 2005; Gilboa, Ishai, "Compressing cryptographic
resources", 1999.
"""

import functools
import hashlib
import threading

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ZEROS = memoryview(bytes(1 << 17))


def derive(key: bytes, *labels: bytes, length: int = 32) -> bytes:
    """Independent subkey of `key` for a purpose (HKDF-SHA256)."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b'/'.join(labels)).derive(key)


def expand(key: bytes, name: bytes, count: int, out: np.ndarray | None = None,
           start: int = 0) -> np.ndarray:
    """`count` pseudorandom uint64 words for a unique name under a key (into `out`, if given).

    They are those of the name's stream from word 2·start on, start < 2^32.
    """
    if out is None:
        out = np.empty(count, dtype=np.uint64)
    stream = _local.stream(key)
    stream.reset_nonce(_nonce(name) + start.to_bytes(4, 'big'))
    view = out.data.cast('B') if count else memoryview(b'')
    for at in range(0, len(view), len(_ZEROS)):
        part = view[at:at + len(_ZEROS)]
        stream.update_into(_ZEROS[:len(part)], part)
    return out


@functools.lru_cache(64)
def _nonce(name):
    # A name is used with several keys, and for the blocks of a long draw, in a row.
    return hashlib.blake2b(name, digest_size=12).digest()


class _Streams(threading.local):
    """Ciphers in counter mode by key: for short draws the set-up would take most of the time."""

    def __init__(self) -> None:
        self.stream = functools.lru_cache(256)(
            lambda key: Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor())


_local = _Streams()


class Randomness:
    """This party's keys, and the draws from them.

    `set_keys` maps set index -> key for every set that contains this party, `pair_keys` maps
    peer -> key. All keys belong to one session: a resumed job derives new ones.
    """

    def __init__(self, pid: int, set_keys: dict[int, bytes], pair_keys: dict[int, bytes],
                 own_key: bytes):
        self.pid = pid
        self._set_keys = {k: derive(v, b'set', length=16) for k, v in set_keys.items()}
        self._pair_keys = {k: derive(v, b'pair', length=16) for k, v in pair_keys.items()}
        self._pair_keys[pid] = derive(own_key, b'own', length=16)
        self._pair_secrets = dict(pair_keys)

    def of_set(self, index: int, name: bytes, count: int, out: np.ndarray | None = None,
               start: int = 0) -> np.ndarray:
        """Words known to all parties of one PRSS set (see `expand`)."""
        return expand(self._set_keys[index], name, count, out, start)

    def of_pair(self, peer: int, name: bytes, count: int) -> np.ndarray:
        """Words known to this party and one peer (or to itself alone)."""
        return expand(self._pair_keys[peer], name, count)

    def fingerprint(self, index: int) -> bytes:
        """16 bytes that show the other holders of a set's key that they hold the same."""
        return derive(self._set_keys[index], b'fingerprint', length=16)

    @functools.cache
    def pair_secret(self, peer: int, purpose: bytes) -> bytes:
        """A 32-byte key that this party and one peer share for a named purpose."""
        return derive(self._pair_secrets[peer], b'purpose', purpose)
