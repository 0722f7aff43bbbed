"""Credit funds followed across accounts: the same flows as walking through the events."""

from __future__ import annotations

import numpy as np
import pytest
from engine_kit import SIZES, secret

from engine.cluster import run_cluster
from protocols.plain.tracing import trace_plain
from protocols.tracing import Loans, Transactions, trace


def traced(transactions, loans, m=4, t=None, **options):
    async def program(mpc):
        first = Transactions(*(secret(mpc, np.asarray(c)) for c in transactions))
        lent = Loans(*(secret(mpc, np.asarray(c), m - 1) for c in loans))
        hops = await trace(mpc, first, lent, **options)
        return [await mpc.output([h.amount, h.loan, h.back, h.restricted]) for h in hops]

    return run_cluster(program, m, t)[0]


def world(seed, n=None, accounts=5, days=6):
    """Few accounts and days, so that payments meet; amounts of zero are padding."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30)) if n is None else n
    k = int(rng.integers(1, 4))
    return ([rng.integers(0, high, n) for high in (accounts, accounts, days, 20, 4, 2)],
            [rng.integers(0, high, k) for high in (accounts, days, 30, 4)])


def check(transactions, loans, m=4, t=None, hops=2, window=3, rule="latest"):
    got = traced(transactions, loans, m, t, accounts=5, days=6, hops=hops, window=window, rule=rule)
    expected = trace_plain(transactions, loans, hops=hops, window=window, rule=rule)
    np.testing.assert_array_equal(np.array(got), np.array(expected))
    return expected


@pytest.mark.parametrize("rule", ["latest", "tainted-first"])
@pytest.mark.parametrize("seed", range(5))
def test_random_flows(seed, rule):
    check(*world(seed), hops=3, rule=rule)


@pytest.mark.parametrize("m, t", [size for size in SIZES if size != (4, 1)])
def test_every_deployment(m, t):
    check(*world(3, 8), m, t, hops=1)


def test_a_loop_back_to_the_borrower_and_a_restricted_payment():
    # Account 0 (company 7) gets 100, pays 60 to account 1, which pays 50 back and 5 to account 2.
    payments = [[0, 1, 1], [1, 0, 2], [1, 2, 2], [60, 50, 5], [8, 7, 9], [0, 0, 1]]
    hops = check(payments, [[0], [0], [100], [7]], rule="tainted-first")
    assert hops[0][0].tolist() == [60, 0, 0]
    amount, loan, back, restricted = hops[1]
    assert amount.tolist() == [0, 50, 5] and loan.tolist() == [0, 1, 1]
    assert back.tolist() == [0, 50, 0] and restricted.tolist() == [0, 0, 5]


@pytest.mark.parametrize("rule, expected", [("latest", [70, 70, 70]),
                                            ("tainted-first", [70, 30, 0])])
def test_the_rules_differ_where_payments_exceed_the_loan(rule, expected):
    payments = [[0, 0, 0], [1, 2, 3], [1, 2, 3], [70, 70, 70], [0, 0, 0], [0, 0, 0]]
    hops = check(payments, [[0], [1], [100], [5]], hops=1, window=9, rule=rule)
    assert hops[0][0].tolist() == expected


def test_what_is_too_late_or_too_early_does_not_count():
    payments = [[0, 0, 0], [1, 1, 1], [1, 2, 5], [10, 10, 10], [0, 0, 0], [0, 0, 0]]
    hops = check(payments, [[0], [2], [100], [5]], hops=1, window=2)
    assert hops[0][0].tolist() == [0, 10, 0]


def test_numbers_that_do_not_fit_are_refused():
    transactions, loans = world(1, 3)
    with pytest.raises(ValueError, match="number the accounts densely"):
        traced(transactions, loans, accounts=2**50, days=2**10, hops=1, window=1)
    with pytest.raises(ValueError, match="rule 'fifo'"):
        traced(transactions, loans, accounts=5, days=6, hops=1, window=1, rule="fifo")
