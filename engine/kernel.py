"""The decorator of the kernels: Numba's, with a cache that goes by the sources of all of them.

Numba keeps a kernel's machine code and takes it again until the file with the kernel changes. Ours
inline functions of other files. After an update that changes only these, one process would mix old
arithmetic with new and compute nonsense; so what was compiled from other sources is dropped first.
"""

import contextlib
import functools
import hashlib
import pathlib

from engine import without_blas

SOURCES = ('i128.py', 'lanes.py', 'limbs.py', 'element_lanes.py', 'field_kernels.py',
           'encoding_kernels.py', 'products.py', 'multi_modular.py', 'matmul.py', 'compare.py',
           'permutation.py', 'waves.py', 'low_words.py')
"""Files with kernels, and with what they inline."""


def fingerprint() -> str:
    """What tells these sources from others; by size and time, as Numba does."""
    here = pathlib.Path(__file__).parent
    states = [(name, (here / name).stat()) for name in SOURCES]
    return hashlib.sha256(repr([(name, state.st_size, state.st_mtime_ns)
                                for name, state in states]).encode()).hexdigest()[:16]


def kernel(fn):
    """Compile a function on its first call, without the interpreter lock, or take it from a cache.

    Its file must be one of `SOURCES`.
    """
    compiled = _compiler()(fn)
    _drop_outdated(pathlib.Path(compiled.stats.cache_path))
    return compiled


@functools.cache
def _compiler():
    # Numba takes long to load, and who only asks for the fingerprint does not need it.
    without_blas.load()
    from numba import njit
    return njit(cache=True, nogil=True, boundscheck=False)


@functools.cache
def _drop_outdated(folder):
    stamp = folder / f'sources-{fingerprint()}'
    with contextlib.suppress(OSError):  # no cache can be written then either
        folder.mkdir(parents=True, exist_ok=True)
        if not stamp.exists():
            for name in SOURCES:
                for index in folder.glob(f'{name.removesuffix(".py")}.*.nbi'):
                    index.unlink(missing_ok=True)
            for old in folder.glob('sources-*'):
                old.unlink(missing_ok=True)
            stamp.touch()
