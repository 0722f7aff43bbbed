"""`sepc bench --suite join` at its smallest size: every result is checked by the benchmark."""

from __future__ import annotations

from bench import join_suite
from bench.harness import run_suite


def test_joins_of_real_parties_give_what_numpy_gives():
    document = run_suite('join', names=['join', 'join_reveal'], sizes=['100000'])
    assert [r['name'] for r in document['results']] == ['join', 'join_reveal']
    # The tags and positions of three joins, and three columns of match bits.
    assert document['results'][0]['bytes_per_party'] == 100_000 * 3 * (32 + 8 + 16) // 4


def test_every_size_has_a_check():
    assert all(b.check is not None for b in join_suite.suite())
    assert {'join', 'join_columns', 'join_ecdh'} <= {b.name for b in join_suite.suite()}
