"""What an operation is called on the wire, and where in the program it was issued.

All parties run the same program, so frames name operations by digests, and a receiver that finds
another name, or another shape, than its own knows that the programs have parted. It can say where:
the place in the program travels along. Names and files are found among those that this process
knows.
"""

import asyncio
import functools
import pathlib
import sys
import types
import zlib
from typing import Any

from engine import frames
from engine.costs import COSTS
from engine.errors import RemoteProtocolError

_ENGINE = str(pathlib.Path(__file__).parent)
_names: dict[int, str] = {}
_places: dict[str, int | None] = {}
_UNSEEN = -2
_SCALARS = 'scalar arithmetic'


def _digest(text: str) -> int:
    # Only different programs of honest parties are told apart here, so a checksum will do.
    return zlib.crc32(text.encode(errors='replace'))


@functools.lru_cache(65536)
def _file(path: str) -> int:
    return _digest(pathlib.PurePath(path).name) & 0xffff


@functools.lru_cache(65536)
def context_of(name: str, shape: tuple) -> int:
    """The digests of an operation's name and shape, as a frame's context holds them."""
    _names.setdefault(_digest(name), name)
    return _digest(name) << 32 | _digest(','.join(map(str, shape)))


def call_site() -> int:
    """The place of the program that is running, as a frame's context holds it (bits 64 to 95).

    That is the innermost frame outside of the engine and MPyC; where there is none, because an
    operation goes on in a task of its own, the outermost one in the engine.
    """
    frame: types.FrameType | None = sys._getframe(1)
    last = None
    while frame is not None:
        place = _place_of(frame.f_code.co_filename)
        if place is None:
            last = frame
        elif place < 0:
            break
        else:
            return _at(place, frame)
        frame = frame.f_back
    return 0 if last is None else _at(_file(last.f_code.co_filename), last)


def _at(place: int, frame) -> int:
    return (place << 16 | frame.f_lineno & 0xffff) << 64


def scalar_context(program: asyncio.Task | None) -> int:
    """The context of a message of MPyC's scalar types: what `program` awaits at the moment.

    MPyC's coroutines run in tasks of their own, so the stack does not say who called them.
    """
    coroutine: Any = None if program is None else program.get_coro()
    where = None
    while (frame := getattr(coroutine, 'cr_frame', None)) is not None:
        place = _place_of(frame.f_code.co_filename)
        if place is not None and place >= 0:
            where = _at(place, frame)
        coroutine = coroutine.cr_await
    return context_of(_SCALARS, ()) | (call_site() if where is None else where)


def _place_of(path: str) -> int | None:
    """`_place`, which takes longer than all else that a message of one number needs."""
    place = _places.get(path, _UNSEEN)
    if place is _UNSEEN:
        place = _places[path] = _place(path)
    return place


def _place(path: str) -> int | None:
    """Digest of a program's file; None for the engine's and MPyC's; negative for the event loop."""
    parts = pathlib.PurePath(path).parts
    if path.startswith(_ENGINE) or 'mpyc' in parts[-3:-1] or parts[-1:] == ('functools.py',):
        return None
    if 'asyncio' in parts[-2:-1] or 'uvloop' in parts[-2:-1] or path.startswith('uvloop'):
        return -1
    return _file(path)


def describe(context: int) -> str:
    """An operation and its place, as far as this process knows them."""
    for known in (*COSTS, _SCALARS):
        _names.setdefault(_digest(known), known)
    name = _names.get(context >> 32 & 0xffffffff, 'an operation that this party does not know')
    file, line = context >> 80, context >> 64 & 0xffff
    return f'{name} ({_file_name(file)}:{line})' if file or line else name


def _file_name(digest: int) -> str:
    seen = [path for path, place in _places.items() if place is not None]
    loaded = [path for module in list(sys.modules.values())
              if isinstance(path := getattr(module, '__file__', None), str)]
    return next((pathlib.PurePath(path).name for path in (*seen, *loaded)
                 if _file(path) == digest), 'a file that this party has not loaded')


def same(one: int, other: int) -> bool:
    """Whether two contexts are of the same operation on the same shape."""
    return not (one ^ other) & frames.WHAT


def diverged(peer: int, pid: int, theirs: int | None, own: int, step: str) -> RemoteProtocolError:
    """The error of programs that have parted; `theirs` is None if the peer has ended its own."""
    mine, there = describe(own), 'has ended its program' if theirs is None else \
        f'is at {describe(theirs)}'
    if theirs is not None and describe(theirs) == mine:
        mine += ' on another shape'
    return RemoteProtocolError(
        'program-divergence', f'party {peer} {there}, this party ({pid}) at {mine}', party=peer,
        step=step, remedy='control flow and shapes must not depend on local data')
