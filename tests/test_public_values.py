"""What `transfer` puts on the wire: plain data comes back as it was, anything else is refused."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpyc_kit import run_mpyc

from engine import frames
from engine._mpyc import finfields, fingroups, gfpx, mpyc_runtime
from engine.errors import LocalProtocolError, RemoteProtocolError
from engine.mpyc_field import FIELD
from engine.public_values import decode, encode

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary() | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.tuples(inner, inner)
    | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers())
    | st.builds(range, st.integers(), st.integers(), st.integers(1)),
    max_leaves=20)


@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value):
    back = decode(encode(value), 1)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("array", [
    np.arange(6).reshape(2, 3), np.zeros((0, 4)), np.array(3.5), np.array([True, False]),
    np.arange(4, dtype=np.uint8)[::2], np.array([1 + 2j]),
    np.arange(6, dtype=">i4").reshape(3, 2).T, np.float32(2.5), np.int64(-7), np.bool_(True)])
def test_arrays_and_scalars_of_numbers(array):
    back = decode(encode(array), 1)
    assert type(back) is type(array) and back.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(back, array)
    if isinstance(back, np.ndarray):
        back[...] = 0  # writable, and not on the received bytes


@pytest.mark.parametrize("shape", [(2, 3), (), (0, 2)])
@pytest.mark.parametrize("field", [
    FIELD, finfields.GF(101), finfields.GF(2**61 - 1), finfields.GF(gfpx.GFpX(2)(283)),
    finfields.GF(gfpx.GFpX(3)("x^2+1"))], ids=lambda f: f.__name__[:24])
def test_arrays_over_fields(field, shape):
    numbers = np.arange(np.prod(shape, dtype=int)).astype(object).reshape(shape)
    array = field.array(numbers + 2) * field(5)
    message = encode([array])
    [back] = decode(message, 1)
    assert type(back) is type(array) and back.shape == shape and bool((back == array).all())
    # A number that is no element, and a shape that the numbers do not fill.
    last = b"" if field.order == 256 else b"\xff"
    wrong = message[:-1] + last if array.size else message.replace(b"0 2", b"1 2")
    with pytest.raises(RemoteProtocolError, match="bad-value"):
        decode(wrong, 1)


@pytest.mark.parametrize("element", [
    FIELD(-5), finfields.GF(2**61 - 1)(17), finfields.GF(101)(-1),
    finfields.GF(gfpx.GFpX(2)(283))(200), finfields.GF(gfpx.GFpX(3)("x^2+1"))(5),
    gfpx.GFpX(7)("2x^3+1"), gfpx.GFpX(2)(37), fingroups.SymmetricGroup(4)([2, 0, 1, 3]),
    fingroups.QuadraticResidues(l=32).generator, fingroups.SchnorrGroup(l=64, n=32).generator,
    fingroups.EllipticCurve("Ed25519", "extended").generator,
    fingroups.EllipticCurve("secp256k1", "projective").generator,
    fingroups.EllipticCurve("BN256_twist", "projective").generator,
    fingroups.ClassGroup(-23).generator, fingroups.HyperellipticCurve("kummer1271").generator],
    ids=lambda e: type(e).__name__[:24])
def test_elements_of_fields_and_groups(element):
    back = decode(encode([element]), 1)[0]
    assert back == element and type(back) is type(element)


def test_numbers_that_are_not_group_elements_are_refused():
    point = fingroups.EllipticCurve("Ed25519", "affine").generator
    data = encode(point)
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(RemoteProtocolError, match="bad-value"):
        decode(damaged, 1)


class Stranger:
    """A class of the program."""


@pytest.mark.parametrize("value", [
    Stranger(), Stranger, print, [1, {2: Stranger()}], np.array([Stranger()]), np.array(["a"]),
    np.datetime64("2026-01-01"), slice(3), iter([1]), np.dtype("i4")])
def test_what_is_not_plain_is_refused_before_it_is_sent(value):
    with pytest.raises(LocalProtocolError, match="no-pickles") as failure:
        encode(value)
    assert failure.value.remedy


def test_nesting_is_bounded_in_both_directions():
    value: list = []
    for _ in range(70):
        value = [value]
    with pytest.raises(LocalProtocolError, match="nested"):
        encode(value)
    with pytest.raises(RemoteProtocolError, match="bad-value"):
        decode(b"l\x01\0\0\0" * 10_000 + b"N", 2)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_give_a_value_or_a_structured_error(data):
    try:
        decode(data, 3)
    except RemoteProtocolError as error:
        assert (error.code, error.party) == ("bad-value", 3)


@given(PLAIN, st.data())
def test_damaged_values_are_values_or_errors_too(value, draw):
    data = bytearray(encode(value))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] = draw.draw(st.integers(0, 255))
    try:
        decode(bytes(data), 3)
    except RemoteProtocolError as error:
        assert error.code == "bad-value"


@pytest.mark.parametrize("data", [
    b"", b"?", b"l\xff\xff\xff\xff", b"s\xff\xff\xff\x7fabc", b"NN", b"i\x01\0\0\0",
    b"a" + struct.pack("<I", 9) + b"f8 999999" + struct.pack("<I", 8) + bytes(8),
    b"a" + struct.pack("<I", 5) + b"f8 -1" + struct.pack("<I", 0),
    b"a" + struct.pack("<I", 3) + b"O 1" + struct.pack("<I", 8) + bytes(8),
    b"a" + struct.pack("<I", 3) + b"? 1" + struct.pack("<I", 1) + b"\x05",
    b"e" + (struct.pack("<I", 2) + b"\x05\x00") * 3, b"G" + struct.pack("<I", 6) + b"object" + b"N",
    pickle.dumps([1, 2]), pickle.dumps(Stranger())])
def test_lengths_types_and_names_are_checked(data):
    with pytest.raises(RemoteProtocolError, match="bad-value"):
        decode(data, 1)


def test_who_gets_what_is_as_in_mpyc():
    async def program(mpc):
        me = {"party": mpc.pid, "data": np.arange(mpc.pid)}
        everybody = await mpc.transfer(me)
        assert [v["party"] for v in everybody] == [0, 1, 2, 3]
        assert [len(v["data"]) for v in everybody] == [0, 1, 2, 3]
        assert (await mpc.transfer(me, senders=2))["party"] == 2
        to_one = await mpc.transfer(mpc.pid, receivers=1)
        assert to_one == ([0, 1, 2, 3] if mpc.pid == 1 else [])
        some = await mpc.transfer(mpc.pid, senders=[0, 3], receivers=range(2))
        assert some == ([0, 3] if mpc.pid < 2 else [])
        assert await mpc.transfer("x", senders=0, receivers=3) == ("x" if mpc.pid == 3 else None)
        arcs = await mpc.transfer(mpc.pid, sender_receivers=[(0, 1), (2, 1), (3, 0)])
        assert arcs == {0: [3], 1: [0, 2]}.get(mpc.pid, [])
        assert await mpc.transfer(mpc.pid, sender_receivers={0: {1, 2}, 1: {0}}) == \
            {0: [1], 1: [0], 2: [0]}.get(mpc.pid, [])
        return True

    assert run_mpyc(program) == [True] * 4


def test_a_value_that_cannot_be_read_ends_the_run_and_names_the_sender():
    def tap(source, target, frame, payload):
        if frame.kind == frames.SCALAR and source == 1:
            payload = np.frombuffer(pickle.dumps(Stranger()), np.uint8)
            frame = frame._replace(length=len(payload))
        return [(frame, payload)]

    async def program(mpc):
        return await mpc.transfer("text")

    errors = run_mpyc(program, 3, tap=tap, raw_errors=True, idle_deadline=5.0)
    assert {(e.code, e.party) for e in (errors[0], errors[2])} == {("bad-value", 1)}


def test_mpycs_own_pickles_are_never_used(monkeypatch):
    class Refuse:
        def __getattr__(self, name):
            raise AssertionError(f"pickle.{name} was used")

    monkeypatch.setattr(mpyc_runtime, "pickle", Refuse())

    async def program(mpc):
        for stype in (mpc.SecInt(), mpc.SecInt(128), mpc.SecFld(2**8), mpc.SecFld(101)):
            a = mpc.input(stype.array(np.array([1, 2, 3])), senders=0)
            await mpc.output(a * a)
            await mpc.output(mpc.input(stype(5)))
        return await mpc.transfer([1, "a"])

    assert run_mpyc(program, 3) == [[[1, "a"]] * 3] * 3
