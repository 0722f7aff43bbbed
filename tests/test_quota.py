"""Quotas of anonymous queries: counted per asker and day, refused beyond, kept over a restart."""

from __future__ import annotations

import datetime
import json

import pytest

from parties.errors import LocalError
from parties.quota import QuotaLedger

DAY = datetime.date(2024, 2, 29)
NEXT = DAY + datetime.timedelta(1)


def test_queries_are_counted_per_asker_and_refused_beyond():
    ledger = QuotaLedger(3, {"bank": 5})
    ledger.admit("bank", DAY, 4)
    ledger.admit("telecom", DAY, 3)
    assert (ledger.left("bank", DAY), ledger.left("telecom", DAY)) == (1, 0)
    with pytest.raises(LocalError, match="2 queries asked, 1 left on 2024-02-29 of 5") as caught:
        ledger.admit("bank", DAY, 2)
    assert (caught.value.code, caught.value.party) == ("quota-exceeded", "bank")
    assert ledger.left("bank", DAY) == 1, "a refused query counts nothing"
    ledger.admit("bank", DAY)
    with pytest.raises(LocalError, match="quota-exceeded"):
        ledger.admit("bank", DAY)


def test_nobody_without_a_quota_may_ask():
    with pytest.raises(LocalError, match="quota-exceeded"):
        QuotaLedger().admit("fintech", DAY)


def test_a_new_day_is_a_new_quota_and_the_clock_does_not_go_back():
    ledger = QuotaLedger(2)
    ledger.admit("bank", DAY, 2)
    assert ledger.left("bank", NEXT) == 2
    ledger.admit("bank", NEXT)
    with pytest.raises(LocalError, match="clock-went-back"):
        ledger.admit("bank", DAY)
    assert ledger.left("bank", NEXT) == 1


def test_a_restart_forgets_nothing():
    ledger = QuotaLedger(2)
    fresh = QuotaLedger(2)
    fresh.restore(json.loads(json.dumps(ledger.as_dict())))
    assert fresh.left("bank", DAY) == 2
    ledger.admit("bank", DAY, 2)
    fresh.restore(json.loads(json.dumps(ledger.as_dict())))
    with pytest.raises(LocalError, match="quota-exceeded"):
        fresh.admit("bank", DAY)


@pytest.mark.parametrize("arguments", [(-1,), (0, {"bank": -2})])
def test_a_negative_quota_is_refused(arguments):
    with pytest.raises(ValueError, match="expected 0 or more"):
        QuotaLedger(*arguments)


@pytest.mark.parametrize("count", [0, -1])
def test_queries_are_at_least_one(count):
    with pytest.raises(ValueError, match="expected at least 1"):
        QuotaLedger(5).admit("bank", DAY, count)
