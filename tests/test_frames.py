"""The wire format: any split of the bytes gives the same frames, and nothing else is accepted."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import frames
from engine.errors import RemoteProtocolError

KINDS = [frames.HELLO, frames.KEYS, frames.ARRAY, frames.SCALAR, frames.ABORT]
FRAMES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1),
              st.integers(0, 2**96 - 1), st.binary(max_size=300)), max_size=6)


def encoded(items):
    return b"".join(frames.header(kind, tag, operation, context, len(payload)) + payload
                    for kind, tag, operation, context, payload in items)


def decoded(stream, cuts):
    """Feed the stream in pieces of at most the given sizes (the last one repeats)."""
    reader, result, sizes = frames.FrameReader(), [], list(cuts)
    while stream:
        buffer = reader.get_buffer()
        size = min(len(buffer), len(stream), sizes[0])
        if len(sizes) > 1:
            sizes.pop(0)
        buffer[:size] = stream[:size]
        stream = stream[size:]
        result += [(frame.kind, frame.tag, frame.operation, frame.context, payload.tobytes())
                   for frame, payload in reader.received(size)]
    return result


@settings(max_examples=150)
@given(FRAMES, st.lists(st.integers(1, 400), min_size=1, max_size=30))
def test_any_split_gives_the_frames(items, cuts):
    assert decoded(encoded(items), cuts) == items


@settings(max_examples=40)
@given(st.lists(st.integers(-60, 60) | st.integers(-60, 60).map(lambda n: n - 2 * 48)
                | st.integers(0, 2).map(lambda n: n * frames.READ_AHEAD), min_size=1, max_size=4),
       st.sampled_from([37, 1000, frames.READ_AHEAD - 1, frames.READ_AHEAD, 10**6]))
def test_frames_about_as_long_as_what_is_read_ahead(sizes, cut):
    items = [(frames.ARRAY, 0, k, 0, bytes([k + 1]) * max(0, frames.READ_AHEAD + size))
             for k, size in enumerate(sizes)]
    assert decoded(encoded(items), [cut]) == items


def test_the_rest_of_a_large_payload_needs_no_copy():
    size = 3 * frames.READ_AHEAD
    reader, stream = frames.FrameReader(), encoded([(frames.ARRAY, 0, 1, 2, bytes(size))])
    first = reader.get_buffer()
    first[:] = stream[:len(first)]
    assert list(reader.received(len(first))) == []
    rest = reader.get_buffer()
    assert len(rest) == len(stream) - len(first)
    rest[:] = b"x" * len(rest)
    [(_, payload)] = reader.received(len(rest))
    rest[-1:] = b"y"
    assert payload[-1] == ord("y") and payload.flags.writeable


def test_bye_has_no_payload():
    stream = frames.header(frames.BYE, 0, 0, 0, 0) * 2
    assert decoded(stream, [7]) == [(frames.BYE, 0, 0, 0, b"")] * 2


def test_payloads_are_received_into_their_own_memory():
    items = [(frames.ARRAY, 0, 1, 2, bytes([k]) * 8) for k in range(3)]
    reader, payloads = frames.FrameReader(), []
    for part in (encoded(items)[i:i + 1] for i in range(len(encoded(items)))):
        reader.get_buffer()[:1] = part
        payloads += [payload for _, payload in reader.received(1)]
    assert [p.view(np.uint64).tolist() for p in payloads] == [[0], [0x0101010101010101],
                                                              [0x0202020202020202]]


def assert_refused_without_memory(reader, header, code):
    tracemalloc.start()
    try:
        reader.get_buffer()[:len(header)] = header
        with pytest.raises(RemoteProtocolError) as caught:
            list(reader.received(len(header)))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert caught.value.code == code


@pytest.mark.parametrize("kind, limit", [
    (frames.HELLO, 512), (frames.KEYS, 4096), (frames.ARRAY, frames.MAX_PAYLOAD),
    (frames.SCALAR, frames.MAX_PAYLOAD), (frames.ABORT, 4096), (frames.BYE, 0),
    (frames.PING, 0), (frames.PONG, 0)])
def test_oversized_lengths_are_refused_before_memory_is_allocated(kind, limit):
    assert frames.parse(frames.header(kind, 0, 0, 0, limit)).length == limit
    for length in (limit + 1, 2**32 - 1):
        header = frames.header(kind, 0, 0, 0, length)
        assert_refused_without_memory(frames.FrameReader(), header, "frame-too-long")


@settings(max_examples=200)
@given(st.binary(min_size=48, max_size=48))
def test_garbage_is_refused(data):
    if data[:5] == b"SEPC\x02":
        return
    reader = frames.FrameReader()
    reader.get_buffer()[:len(data)] = data
    with pytest.raises(RemoteProtocolError):
        list(reader.received(48))


@settings(max_examples=100)
@given(st.integers(0, 7), st.integers(0, 255))
def test_damaged_headers_are_refused(place, value):
    """Any change to magic, version, kind or the reserved field gives an error or another kind."""
    good = bytearray(frames.header(frames.ARRAY, 5, 6, 7, 8))
    before, good[place] = good[place], value
    if value == before or (place == 5 and value <= frames.PONG):
        return
    with pytest.raises(RemoteProtocolError) as caught:
        frames.parse(good)
    assert caught.value.code == "bad-frame"


def test_the_header_is_the_documented_one():
    context = (9 << 16 | 8) << 64 | 7 << 32 | 5
    assert frames.header(2, 3, -4, context, 6, 10) == b"SEPC" + struct.pack(
        "<BBHIIQqIIHHI", 2, 2, 0, 3, 6, 10, -4, 5, 7, 8, 9, 0)
    assert frames.HEADER.size == 48


def test_frames_of_another_session_or_kind_are_refused_before_memory_is_allocated():
    for reader, code in ((frames.FrameReader(), "wrong-session"),
                         (frames.FrameReader(), "bad-hello")):
        if code == "bad-hello":
            reader.kinds = (frames.HELLO,)
        else:
            reader.session = 7
        header = frames.header(frames.ARRAY, 0, 0, 0, frames.MAX_PAYLOAD, 8)
        assert_refused_without_memory(reader, header, code)
