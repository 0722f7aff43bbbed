"""What a process keeps: freed memory, and the objects that it has at the start.

Large arrays need not be fetched from the system anew. An operation makes and drops arrays of
megabytes. glibc gives what lies free at the end of its heap back to the system at once, beyond a
limit that depends on what was freed before, and the system clears every page again when the next
array touches it: a third of the time of an input of 10^5 numbers. Threads have heaps of their own,
of 64 MB at most, each of which goes back when it is empty whatever the limit: another third at
10^6. Other allocators are left as they are.

Python's collector of cyclic garbage looks at all objects again and again, and at the start there
are hundreds of thousands of them, of the libraries that compile and compute: a quarter of the time
of a program that multiplies single numbers.
"""

import contextlib
import ctypes
import functools
import gc

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of malloc.h
_KEPT = 1 << 28
"""Bytes that may lie free at the end of the heap."""
_OUTSIDE = 1 << 25
"""Bytes from which on an array is memory of its own, the most that glibc itself would choose."""


@functools.cache
def keep_objects() -> None:
    """Let the garbage collector leave all objects alone that there are now, the first time."""
    gc.collect()
    gc.freeze()


def keep_freed() -> None:
    """Let this process keep up to 256 MiB of freed memory, whatever it frees later.

    Threads that it has already keep their heaps.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _OUTSIDE)
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_ARENA_MAX, 1)
