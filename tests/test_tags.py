"""Tags are equal exactly for equal identifiers under equal keys, whatever their lengths."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from protocols import tags
from protocols.tags import Packed

KEY, OTHER = bytes(range(32)), bytes(32)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    monkeypatch.setattr(tags, '_ROWS', 7)


def reference(text):
    """The same by CBC mode, one identifier at a time."""
    data = len(text.encode()).to_bytes(2, 'little') + text.encode()
    stream = Cipher(algorithms.AES(KEY), modes.CBC(bytes(16))).encryptor()
    return (stream.update(data + bytes(-len(data) % 16)) + stream.finalize())[-16:]


def test_against_cbc_mode():
    texts = ['x' * n for n in (0, 1, 13, 14, 15, 18, 29, 30, 31, 61, 62, 63, 125, 126)]
    texts += [f'91350100M{n:08d}3' for n in range(40)] + ['公司' * n for n in range(1, 20)]
    got = Packed(texts).tags(KEY)
    assert [t.tobytes() for t in got] == [reference(t) for t in texts]


@given(st.lists(st.text(max_size=40)))
def test_equal_exactly_for_equal_texts(texts):
    got = [t.tobytes() for t in Packed(texts).tags(KEY)]
    other = [t.tobytes() for t in Packed(texts[::-1]).tags(KEY)][::-1]
    assert got == other
    assert len(set(got)) == len(set(texts))
    if texts:
        assert not set(got) & {t.tobytes() for t in Packed(texts).tags(OTHER)}


def test_long_identifiers_and_zero_bytes_stay_apart():
    texts = ['', '\0', '\0\0', 'a', 'a\0', 'y' * 126, 'y' * 127, 'y' * 128, 'y' * 70_000,
             'y' * 69_999 + 'z', '\0' * 14, '\0' * 15]
    assert len(np.unique(Packed(texts).tags(KEY), axis=0)) == len(texts)


def test_texts_and_bytes_are_the_same():
    texts = ['a', '公司', 'x' * 50]
    np.testing.assert_array_equal(Packed(texts).tags(KEY),
                                  Packed([t.encode() for t in texts]).tags(KEY))


def test_nothing_to_tag():
    assert Packed([]).tags(KEY).shape == (0, 2)


def test_it_does_not_print_identifiers():
    assert repr(Packed(['secret'])) == 'Packed(rows=1)'
