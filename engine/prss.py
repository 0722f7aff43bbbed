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

_PIECE = 1 << 22
_ZEROS = memoryview(bytes(_PIECE))
_BLOCKS = 1 << 12


def derive(key: bytes, *labels: bytes, length: int = 32) -> bytes:
    """Independent subkey of `key` for a purpose (HKDF-SHA256)."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b'/'.join(labels)).derive(key)


def expand(key: bytes, name: bytes, count: int, out: np.ndarray | None = None) -> np.ndarray:
    """`count` pseudorandom uint64 words for a unique name under a key (into `out`, if given)."""
    nonce = hashlib.blake2b(name, digest_size=12).digest()
    if out is None:
        out = np.empty(count, dtype=np.uint64)
    if 0 < count <= 2 * _BLOCKS:
        out.reshape(-1)[:] = _local.keystream(key, nonce, count)
        return out
    stream = Cipher(algorithms.AES(key), modes.CTR(nonce + bytes(4))).encryptor()
    view = out.reshape(-1).view(np.uint8).data
    for start in range(0, len(view), _PIECE):
        part = view[start:start + _PIECE]
        stream.update_into(_ZEROS[:len(part)], part)
    return out


class _Short(threading.local):
    """Short keystreams: the counter blocks are encrypted with a cipher that is set up once.

    For a few thousand words the set-up of counter mode takes longer than the encryption.
    """

    def __init__(self) -> None:
        self.counters = np.zeros((_BLOCKS, 4), '<u4')
        self.counters[:, 3] = np.arange(_BLOCKS, dtype='>u4').view('<u4')
        self.cipher = functools.lru_cache(256)(
            lambda key: Cipher(algorithms.AES(key), modes.ECB()).encryptor())

    def keystream(self, key: bytes, nonce: bytes, count: int) -> np.ndarray:
        """What counter mode gives from the nonce on."""
        blocks = self.counters[:-(-count // 2)]
        blocks[:, :3] = np.frombuffer(nonce, '<u4')
        return np.frombuffer(self.cipher(key).update(blocks.data.cast('B')), np.uint64)[:count]


_local = _Short()


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

    def of_set(self, index: int, name: bytes, count: int,
               out: np.ndarray | None = None) -> np.ndarray:
        """Words known to all parties of one PRSS set."""
        return expand(self._set_keys[index], name, count, out)

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
