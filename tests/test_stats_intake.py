"""Input parties: right data arrives, and what is wrong is refused by name while others go on."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_kit import FLAGGED, GEOMETRY, LOANS, random_loans, spec_of

from engine import field
from engine.cluster import run_cluster
from engine.errors import EngineError
from engine.field import P
from engine.shamir import Geometry, reconstruct
from protocols.stats.costs import intake_cost
from protocols.stats.forms import CellForm, Claimed, RowForm
from protocols.stats.intake import intake, intake_parts
from protocols.stats.submission import Expected, SubmissionError, load, prepare, schema_digest

SPEC = spec_of(3, measures=(LOANS, FLAGGED))
ROWS, CELLS = RowForm(SPEC, 25), CellForm(SPEC, 100)


def expected_of(form, count):
    digest = schema_digest({"spec": "test"})
    return [Expected(f"bank {k}", "job", "2020", digest, *form.shape) for k in range(count)]


def honest(form, count):
    return [form.encode(*random_loans(SPEC, 20, k)) for k in range(count)]


def taken(form, values, spoil=lambda messages: None, quorum=1, raw_errors=False, **options):
    """(institutions, refused, opened values) at all parties."""
    expected = expected_of(form, len(values))
    messages = [prepare(v, e, GEOMETRY) for v, e in zip(values, expected, strict=True)]
    spoil(messages)

    async def program(mpc):
        own = {e.institution: m[mpc.pid] for e, m in zip(expected, messages, strict=True)}
        found = await intake(mpc, form, expected, own, quorum=quorum)
        return found.institutions, found.refused, await mpc.output(found.values, raw=True)

    results = run_cluster(program, raw_errors=raw_errors, **options)
    for other in results[1:]:
        assert raw_errors or other[:2] == results[0][:2]
    return results[0]


@pytest.mark.parametrize("form", [ROWS, CELLS, Claimed((4, 2), (7, 1 << 61), running=(1,))])
@pytest.mark.parametrize("verified", [False, True])
def test_what_was_put_in_arrives(form, verified):
    values = [np.array([[0, 5], [7, -5], [3, 1 << 61], [1, 0]])] * 2 if isinstance(form, Claimed) \
        else honest(form, 3)
    names, refused, opened = taken(form, values, verified=verified)
    assert names == [f"bank {k}" for k in range(len(values))] and not refused
    np.testing.assert_array_equal(opened.astype(np.int64), np.stack(values))


def test_one_message_says_nothing_and_two_say_all():
    expected, values = expected_of(CELLS, 1)[0], honest(CELLS, 1)[0]
    shares = []
    for _ in range(2):
        messages = prepare(values, expected, GEOMETRY)
        assert sum(len(m) < max(map(len, messages)) for m in messages) == 1, "one is a seed"
        shares.append([field.to_ints(load(m, expected, GEOMETRY, p)[0])
                       for p, m in enumerate(messages)])
    for first, second in zip(*shares, strict=True):
        assert not (first == second).any(), "every message is random anew"
    for a, b in ((0, 1), (1, 3)):
        assert reconstruct({a: shares[0][a][0, 0], b: shares[0][b][0, 0]}) == values[0, 0]


@pytest.mark.parametrize("m, t", [(3, 1), (5, 2), (1, 0)])
def test_other_deployments(m, t):
    form, geometry = CELLS, Geometry(m, t)
    expected, values = expected_of(form, 2), honest(form, 2)
    messages = [prepare(v, e, geometry) for v, e in zip(values, expected, strict=True)]
    shares = [load(messages[0][p], expected[0], geometry, p)[0] for p in range(m)]
    opened = field.combine(np.stack(shares[:t + 1]).reshape(t + 1, -1, 2),
                           geometry.recombination(tuple(range(t + 1))))
    np.testing.assert_array_equal(field.decode_int(opened), values[0].ravel())


def _set(row, column, value):
    def spoil(values):
        values[row, column] = value
    return spoil


LIMIT = (SPEC.cells + 1) << LOANS.bits


@pytest.mark.parametrize("form, spoil", [
    (ROWS, _set(3, 0, -1)), (ROWS, _set(3, 0, LIMIT)), (ROWS, _set(0, 0, -(1 << 62))),
    (ROWS, _set(1, 1, 2)), (ROWS, _set(1, 1, -1)),
    (CELLS, _set(0, 0, 101)), (CELLS, _set(0, 0, -1)),    # rows
    (CELLS, _set(1, 1, 1 << 40)), (CELLS, _set(1, 1, -5)),  # total
    (CELLS, _set(1, 2, 1 << 30)), (CELLS, _set(1, 2, 0)), (CELLS, _set(1, 3, -1)),  # largest
    (CELLS, _set(2, 4, 60)), (CELLS, _set(2, 4, -1)),       # flagged
], ids=lambda value: type(value).__name__)
def test_extreme_numbers_are_refused_by_name(form, spoil):
    values = honest(form, 3)
    spoil(values[1])
    names, refused, opened = taken(form, values)
    assert names == ["bank 0", "bank 2"] and list(refused) == ["bank 1"]
    np.testing.assert_array_equal(opened.astype(np.int64), np.stack([values[0], values[2]]))


@pytest.mark.parametrize("value", [1 << 64, 1 << 100, P // 2, P - (1 << 70)])
def test_numbers_that_no_word_holds_are_refused(value):
    """A sharing of any field element, made by hand around the checks of `prepare`."""
    def spoil(messages):
        for p, message in enumerate(messages[1]):
            share = bytearray(message)
            if p != seeded:
                old = int.from_bytes(share[-16:], "little")
                share[-16:] = ((old + value * _at(p)) % P).to_bytes(16, "little")
                messages[1][p] = bytes(share)

    def _at(p):
        # Zero at the party whose share is a seed, so that only the value changes.
        return (seeded - p) * pow(seeded + 1, -1, P)

    lengths = [len(m) for m in prepare(honest(CELLS, 2)[1], expected_of(CELLS, 2)[1], GEOMETRY)]
    seeded = lengths.index(min(lengths))
    names, refused, _ = taken(CELLS, honest(CELLS, 3), spoil)
    assert names == ["bank 0", "bank 2"]
    assert refused == {"bank 1": "a number is outside of all ranges"}


def _drop(messages):
    messages[0] = [None] * 4


def _drop_one(messages):
    messages[0][2] = None


def _mixed(messages):
    messages[0][3] = prepare(honest(CELLS, 1)[0], expected_of(CELLS, 1)[0], GEOMETRY)[3]


def _short(messages):
    messages[0][1] = messages[0][1][:-1]


def _swapped(messages):
    messages[0][1], messages[0][2] = messages[0][2], messages[0][1]


def _others(messages):
    messages[0] = list(messages[1])


def _inconsistent(messages):
    longest = max(range(4), key=lambda p: len(messages[0][p]))
    content = bytearray(messages[0][longest])
    content[-16] ^= 1
    messages[0][longest] = bytes(content)


@pytest.mark.parametrize("spoil, reason", [
    (_drop, "nothing was submitted"), (_drop_one, "no message to parties [2]"),
    (_mixed, "the parties hold parts of different submissions"),
    (_short, "the message to parties [1] is not as the manifest says"),
    (_swapped, "the message to parties [1, 2] is not as the manifest says"),
    (_others, "the message to parties [0, 1, 2, 3] is not as the manifest says"),
    (_inconsistent, "its shares are not consistent")])
def test_a_bad_submission_is_refused_by_name(spoil, reason):
    values = honest(CELLS, 3)
    names, refused, opened = taken(CELLS, values, spoil)
    assert names == ["bank 1", "bank 2"] and refused == {"bank 0": reason}
    np.testing.assert_array_equal(opened.astype(np.int64), np.stack(values[1:]))


def test_too_few_submissions_end_the_job():
    error = taken(CELLS, honest(CELLS, 3), _drop, quorum=3, raw_errors=True)
    assert isinstance(error, EngineError) and error.code == "too-few-submissions"
    assert "bank 0: nothing was submitted" in str(error)


@pytest.mark.parametrize("quorum", [1, 2])
def test_an_institution_counts_with_all_its_parts_or_not_at_all(quorum):
    """One lacks one part, one another: the quorum is of those that have both."""
    forms, values = {"first": CELLS, "second": CELLS}, honest(CELLS, 3)
    expected = {part: expected_of(CELLS, 3) for part in forms}
    messages = {part: [prepare(v, e, GEOMETRY) for v, e in zip(values, expected[part], strict=True)]
                for part in forms}

    async def program(mpc):
        own = {part: {e.institution: m[mpc.pid] for e, m in zip(expected[part], each, strict=True)}
               for part, each in messages.items()}
        own["first"]["bank 0"] = own["second"]["bank 2"] = None
        found = await intake_parts(mpc, forms, expected, own, quorum=quorum)
        return found.institutions, found.refused, [
            await mpc.output(found.values[part], raw=True) for part in forms]

    if quorum == 2:
        with pytest.raises(EngineError, match="1 of 3 submissions can be used, expected at least"):
            run_cluster(program)
        return
    names, refused, opened = run_cluster(program)[0]
    assert names == ["bank 1"]
    assert refused == dict.fromkeys(("bank 0", "bank 2"), "nothing was submitted")
    for part in opened:
        np.testing.assert_array_equal(part.astype(np.int64), values[1][None])


MESSAGE = prepare(honest(CELLS, 1)[0], expected_of(CELLS, 1)[0], GEOMETRY)


@settings(max_examples=150)
@given(st.integers(0, 3), st.data())
def test_any_other_bytes_are_refused_or_mean_the_same_shape(party, data):
    message = bytearray(MESSAGE[party])
    how = data.draw(st.sampled_from(["flip", "cut", "add", "anything", "length"]))
    if how == "flip":
        at = data.draw(st.integers(0, len(message) - 1))
        message[at] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        message = message[:data.draw(st.integers(0, len(message) - 1))]
    elif how == "add":
        message += data.draw(st.binary(min_size=1, max_size=40))
    elif how == "length":
        struct.pack_into("<I", message, 17, data.draw(st.integers(0, 2**32 - 1)))
    else:
        message = bytearray(data.draw(st.binary(max_size=300)))
    expected = expected_of(CELLS, 1)[0]
    try:
        share, number = load(bytes(message), expected, GEOMETRY, party)
    except SubmissionError as error:
        assert error.code == "bad-submission" and error.institution == "bank 0"
        assert "bank 0" in str(error)
    else:
        assert share.shape == (*CELLS.shape, 2) and len(number) == 32 and field.canonical(share)


@pytest.mark.parametrize("change", ["institution", "job", "period", "schema", "rows", "columns"])
def test_a_message_for_something_else_is_refused(change):
    right = expected_of(CELLS, 1)[0]
    fields = dict(vars(right))
    fields[change] = fields[change] + (1 if change in ("rows", "columns") else "x")
    with pytest.raises(SubmissionError, match=f"in {change}"):
        load(MESSAGE[0], Expected(**fields), GEOMETRY, 0)


@pytest.mark.parametrize("form", [ROWS, CELLS])
def test_forms_refuse_what_does_not_fit(form):
    with pytest.raises(ValueError, match="outside of 0"):
        form.encode([0], {"loans": np.array([-1]), "flagged": np.array([0])})
    with pytest.raises(ValueError, match="outside of 0"):
        form.encode([0], {"loans": np.array([1]), "flagged": np.array([2])})
    with pytest.raises(ValueError, match="expected integers"):
        form.encode([0], {"loans": np.array([1.5]), "flagged": np.array([0])})
    with pytest.raises(ValueError, match="at most"):
        form.encode(np.zeros(101, int), {"loans": np.zeros(101, int),
                                         "flagged": np.zeros(101, int)})


@pytest.mark.parametrize("form, claims, products", [(ROWS, 50, 0), (CELLS, 27, 3)])
@pytest.mark.parametrize("verified", [False, True])
def test_rounds_and_bytes_are_those_of_the_formula(form, claims, products, verified):
    spent, values, expected = [], honest(form, 3), expected_of(form, 3)
    messages = [prepare(v, e, GEOMETRY) for v, e in zip(values, expected, strict=True)]

    async def program(mpc):
        own = {e.institution: m[mpc.pid] for e, m in zip(expected, messages, strict=True)}
        with mpc.meter.measure() as cost:
            await intake(mpc, form, expected, own)
        spent.append((cost.rounds, cost.bytes_sent, cost.predicted_total_bytes))

    run_cluster(program, verified=verified)
    formula = intake_cost(form, 3, Geometry(4, 1, verified), claims, products)
    assert {r for r, *_ in spent} == {formula.rounds}
    assert sum(b for _, b, _ in spent) == formula.total_bytes
    assert {p for *_, p in spent} == {formula.total_bytes}


@pytest.mark.parametrize("cheater", [0, 2])
def test_a_compute_party_that_lies_makes_nobody_accept_something_else(cheater):
    """In verified mode every lie of a compute party ends in a refusal, an error, or no effect."""
    form, values = CELLS, honest(CELLS, 2)
    expected = expected_of(form, 2)
    messages = [prepare(v, e, GEOMETRY) for v, e in zip(values, expected, strict=True)]

    async def program(mpc):
        own = {e.institution: m[mpc.pid] for e, m in zip(expected, messages, strict=True)}
        found = await intake(mpc, form, expected, own, quorum=1)
        return found.institutions, await mpc.output(found.values)

    sent = frames_of(program, cheater, verified=True)
    for at in np.linspace(2, sent - 1, 8).astype(int):
        for result in attacked(program, Attack("wrong", int(at)), cheater, verified=True):
            if not isinstance(result, EngineError):
                names, opened = result
                for name, found in zip(names, opened, strict=True):
                    np.testing.assert_array_equal(found, values[int(name[-1])])
