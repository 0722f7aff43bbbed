"""The ledger against differencing: overlapping tables are refused, budgets end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_kit import LOANS, spec_of

from protocols.stats.ledger import Budget, Query, decide, epsilon, overlap, parse, query
from protocols.stats.perturb import Noise
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, TableSpec

BANKS = ("a", "b", "c")
SPEC = spec_of(3, 2)
LAPLACE = Noise("laplace", epsilon=0.2)


def ask(spec=SPEC, *, source="loans", version="v1", banks=BANKS, rules=None, population=None,
        noise=None):
    return query(source, version, banks, spec, rules or Rules(), population, noise)


FIRST = ask(population={"year": ("2020",)})


def test_nothing_stands_against_the_first_table():
    decision = decide([], FIRST)
    assert decision.allowed and decision.conflicts == []


def test_the_same_table_may_be_published_again():
    assert decide([FIRST], ask(population={"year": ("2020",)})).allowed


@pytest.mark.parametrize("other", [
    ask(population={"year": ("2021",)}), ask(source="payments"), ask(banks=("d", "e")),
], ids=["other year", "other source", "other banks"])
def test_other_rows_are_other_tables(other):
    assert not overlap(FIRST, other) and decide([FIRST], other).allowed


@pytest.mark.parametrize("other", [
    ask(),                                                     # all years
    ask(population={"year": ("2020", "2021")}),
    ask(banks=("a", "b"), population={"year": ("2020",)}),      # one bank less
    ask(banks=(*BANKS, "d"), population={"year": ("2020",)}),   # one more
    ask(spec_of(2, 2), population={"year": ("2020",)}),         # a category less
    ask(spec_of(3), population={"year": ("2020",)}),            # coarser
    ask(rules=Rules(minimum=3), population={"year": ("2020",)}),
    ask(version="v2", population={"year": ("2020",)}),          # delivered again
    ask(TableSpec((Dimension("industry", ("x", "y")),), (LOANS,)), population={"year": ("2020",)}),
], ids=str)
def test_differencing_is_refused(other):
    decision = decide([ask(source="payments"), FIRST], other)
    assert not decision.allowed and decision.conflicts == [1]
    assert "differencing" in decision.reason


def test_an_exact_table_after_noisy_ones_and_the_reverse_are_refused():
    noisy = ask(noise=LAPLACE)
    assert not decide([noisy], ask()).allowed and not decide([ask()], noisy).allowed


def test_noisy_tables_end_with_the_budget():
    ledger: list[Query] = []
    new = ask(noise=LAPLACE)  # two figures of 0.2 each
    while decide(ledger, new, Budget(epsilon=1.0)).allowed:
        ledger.append(new)
    assert len(ledger) == 2
    refused = decide(ledger, new, Budget(epsilon=1.0))
    assert refused.reason.startswith("budget") and refused.spent == pytest.approx(1.2)
    other = ask(noise=LAPLACE, population={"d0": ("none",)})
    assert decide(ledger, other, Budget(epsilon=1.0)).allowed, "other rows have their own budget"


def test_concentrated_budgets_grow_with_the_square_root():
    one = ask(noise=Noise("gaussian", rho=0.01))
    assert epsilon([one] * 4, 1e-6) < 4 * epsilon([one], 1e-6)
    assert epsilon([one], 1e-6) == pytest.approx(0.02 + 2 * (0.02 * 13.8155) ** 0.5, rel=1e-4)


def test_lines_come_back_and_damaged_ones_are_named():
    ledger = [FIRST, ask(noise=LAPLACE)]
    lines = [entry.line() for entry in ledger]
    again = parse([*lines, ""])
    assert [entry.line() for entry in again] == lines
    assert [decide(again[:1], e).allowed for e in ledger] == [True, False]
    fields = json.loads(lines[1])
    del fields["source"]
    for damaged in (lines[1][:-3], "[]", "null", json.dumps(fields)):
        with pytest.raises(ValueError, match="line 2 of the ledger is damaged"):
            parse([lines[0], damaged])


@given(st.lists(st.tuples(
    st.sets(st.sampled_from("abc"), min_size=1), st.sets(st.sampled_from("xyz"), min_size=1),
    st.booleans()), min_size=1, max_size=8))
def test_what_was_allowed_counts_no_row_twice(asked):
    """Whatever is asked, in any order: two exact tables that differ never share a possible row."""
    ledger: list[Query] = []
    for banks, years, fine in asked:
        new = ask(spec_of(2) if fine else spec_of(2, 2), banks=tuple(banks),
                  population={"year": tuple(years)})
        if decide(ledger, new).allowed:
            for old in ledger:
                shared = set(old.institutions) & banks and set(old.population["year"]) & years
                assert not shared or old.line() == new.line()
            ledger.append(new)
