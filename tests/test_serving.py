"""Scoring with a kept model, by a job or in a session: what the twin's card gives, its cost."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from engine_kit import secret

from engine.cluster import run_cluster
from engine.errors import RemoteProtocolError
from models import session
from models.parameters import Scaling
from models.plain.scorecard import plain_scorecard
from models.scorecard import Scorecard, SecretScorecard, reasons_cost
from models.serving import Packing, rehearse, score_program, sizes
from models.session import Request, session_program
from models.store import ModelStore
from protocols import join_pair
from protocols.binning import bin_index

NAMES = ["bank", "fintech", "government", "telecom"]
BINS, ORDINARY, SPECIAL = 6, 4, [-9.0]
OWNERS = [0, 0, 1, 3, 3]
FEATURES = ["bank.a", "bank.b", "fintech.a", "telecom.a", "telecom.b"]
BREAKS = [[-1.0, 0.0, 1.0], [0.5], [-0.5, 0.5], [0.0], [-1.0, 1.0]]


def card():
    rng = np.random.default_rng(3)
    return plain_scorecard(FEATURES, rng.normal(size=(5, BINS)).round(2),
                           rng.uniform(0.3, 1, 5), -1.0)


def table(party, rng):
    """(ids, columns) of a party: 40 of 60 businesses, some values missing, some special."""
    ids = np.array([f"B{k}" for k in rng.choice(60, 40, replace=False)], object)
    columns = {f.partition(".")[2]: np.where(rng.random(40) < 0.2, np.nan, rng.normal(size=40))
               for f, p in zip(FEATURES, OWNERS, strict=True) if p == party}
    for values in columns.values():
        values[rng.random(40) < 0.2] = SPECIAL[0]
    return ids, columns


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The twin's card, the parties' tables, the applicants, and what programs are told of a store
    that holds the card's shares."""
    folder, twin = tmp_path_factory.mktemp("store"), card()
    rng = np.random.default_rng(4)
    tables = [table(p, rng) for p in range(4)]
    applicants = np.array(["B1", "B2", "B5", "NOBODY", "B8"], object)
    asked = (applicants, {"a": np.array([0.3, -2, np.nan, -9, 5]),
                          "b": np.array([1.0, 0, 2, 0, 0])})

    async def keep(mpc):
        arrays = {"points": secret(mpc, twin.points), "base": secret(mpc, np.array(twin.base)),
                  "best": secret(mpc, twin.points.max(1))}
        about = {"features": FEATURES, "owners": OWNERS, "max_bins": ORDINARY,
                 "special_values": SPECIAL, "scaling": vars(Scaling()),
                 "columns": [f.partition(".")[2] for f, p in zip(FEATURES, OWNERS, strict=True)
                             if p == mpc.pid],
                 "breaks": [b for b, p in zip(BREAKS, OWNERS, strict=True) if p == mpc.pid]}
        store = ModelStore(folder / str(mpc.pid))
        return await store.save(mpc, "card", arrays, manifest_hash="cd" * 32, card=about)
    identity = run_cluster(keep, 4)[0].identity

    def told(mpc):
        return {"parties": NAMES, "parameters": None, "progress": lambda *_: None,
                "store": ModelStore(folder / str(mpc.pid)), "identity": identity, "reasons": 3}
    return twin, tables, asked, told


@pytest.fixture(scope="module")
def scored(kept):
    twin, tables, asked, told = kept

    async def program(mpc):
        ids, columns = asked if mpc.pid == 0 else tables[mpc.pid]
        return await score_program(mpc, **told(mpc), ids=ids, columns=columns)
    return twin, tables, asked, run_cluster(program, 4)


def test_scores_and_reasons_are_those_of_the_card(scored):
    twin, tables, (applicants, own), results = scored
    bins = np.empty((5, 5), int)
    for j, (feature, party) in enumerate(zip(FEATURES, OWNERS, strict=True)):
        column = feature.partition(".")[2]
        ids, columns = tables[party]
        for k, who in enumerate(applicants):
            place = np.flatnonzero(ids == who)
            known = own[column][k:k + 1] if party == 0 else columns[column][place]
            value = known if len(known) else np.array([np.nan])
            bins[k, j] = bin_index(value, np.array(BREAKS[j]), ORDINARY, SPECIAL)[0]
    # Applicants of all kinds: known to both partners, to one, to none.
    assert len({(bins[k, 2] == ORDINARY, bins[k, 3] == ORDINARY) for k in range(5)}) > 1
    assert (bins == ORDINARY + 1).any() and (bins[:, 1:] < ORDINARY).any()
    outputs = results[0]["outputs"]
    assert outputs["scores"] == twin.score(bins).tolist()
    assert outputs["reasons"] == [[FEATURES[p] for p in row if p >= 0]
                                  for row in twin.reasons(bins, 3)]


def test_only_the_asker_learns_scores_and_the_rounds_are_few(scored):
    *_, results = scored
    assert [r["outputs"] for r in results[1:]] == [{}, {}, {}]
    for result in results:
        assert sum(step["rounds"] for step in result["steps"].values()) < 60


def test_a_party_that_cannot_have_so_many_rows_is_named():
    async def program(mpc):
        return await sizes(mpc, {2: 1 << 50}.get(mpc.pid, 7))
    errors = run_cluster(program, 4, raw_errors=True)
    assert [(error.code, error.party) for error in errors] == [("bad-size", 2)] * 4


class Asking:
    """A session's requests: those given, then the end if `closes`; at other parties none."""

    def __init__(self, requests=(), closes=False):
        self.waiting, self.closes, self.closed = list(requests), closes, False
        self.seen = []

    async def next(self, seconds, left):
        if self.waiting:
            return self.waiting.pop(0)
        self.closed = self.closes
        await asyncio.sleep(0 if self.closes else seconds)

    def opened(self):
        self.seen.append("open")

    def counted(self, applicants):
        self.seen.append(applicants)

    def answered(self, request, outputs):
        self.seen.append((request.number, outputs["scores"]))


def in_session(kept, asking, most, idle=60.0, seconds=60.0, **options):
    """Results of a session at all parties, and what their `Asking` saw."""
    _, tables, _, told = kept
    seen = [asking if party == 0 else Asking() for party in range(4)]

    async def program(mpc):
        ids, columns = tables[mpc.pid] if mpc.pid else ([], {})
        return await session_program(
            mpc, **told(mpc), most=most, idle=idle, ends=time.time() + seconds, ids=ids,
            columns=columns, requests=seen[mpc.pid])
    return run_cluster(program, 4, **options), [one.seen for one in seen]


def requests(kept, *sizes):
    """The applicants, in requests of these sizes."""
    _, _, (ids, columns), _ = kept
    ends = np.cumsum(sizes)
    return [Request(k, ids[end - size:end], {n: c[end - size:end] for n, c in columns.items()})
            for k, (size, end) in enumerate(zip(sizes, ends, strict=True))]


def test_a_session_scores_as_a_job_does_until_its_scores_are_used(kept, scored):
    expected = scored[3][0]["outputs"]
    results, seen = in_session(kept, Asking(requests(kept, 1, 3, 1)), 5)
    assert results[0]["outputs"] == expected
    assert [r["outputs"] for r in results[1:]] == [{}, {}, {}]
    # Every party counts each request, before the asker has its answer.
    scores = expected["scores"]
    assert seen[0] == ["open", 1, (0, scores[:1]), 3, (1, scores[1:4]), 1, (2, scores[4:])]
    assert seen[1:] == [["open", 1, 3, 1]] * 3
    assert results[0]["steps"]["serve"]["rounds"] < 3 * 60


def test_requests_of_one_applicant_have_tags_of_their_own(kept, monkeypatch):
    """Or a helper could tell that somebody is asked for again."""
    tags, make = [], join_pair._tags

    def kept_tags(*arguments):
        tags.append(make(*arguments))
        return tags[-1]
    monkeypatch.setattr(join_pair, "_tags", kept_tags)
    in_session(kept, Asking(requests(kept, 1) * 2, closes=True), 5)
    assert len(tags) == 2 * 3 * 2
    flat = np.concatenate(tags)[:, 0].tolist()
    # Per join the asker and a partner tag their rows, and agree on who is in both.
    known = sum("B1" in kept[1][p][0] for p in (1, 2, 3))
    assert len(flat) - len(set(flat)) == 2 * known


@pytest.mark.parametrize(("idle", "seconds", "closes"), [(0, 60, False), (60, 0, False),
                                                        (60, 60, True)])
def test_a_session_ends_when_nobody_asks_its_time_is_over_or_it_is_closed(kept, idle, seconds,
                                                                         closes):
    results, seen = in_session(kept, Asking(closes=closes), 5, idle, seconds)
    assert results[0]["outputs"] == {"scores": [], "reasons": []}
    assert seen == [["open"]] * 4


def test_no_party_scores_more_than_was_agreed(kept):
    errors, _ = in_session(kept, Asking(requests(kept, 2)), 1, raw_errors=True)
    assert all(error.code == "bad-request" and error.party == 0 for error in errors)


def test_no_party_waits_longer_than_was_agreed(monkeypatch):
    monkeypatch.setattr(session, "_SLACK", 0.0)
    with pytest.raises(RemoteProtocolError, match="bad-request"):
        session._checked(session._NOTHING, 3, 5.0, time.monotonic() - 6)
    for word in (session._END, session._NOTHING, 3):
        assert session._checked(word, 3, 5.0, time.monotonic()) == word
    for word in (-2, 4, 1 << 62):
        with pytest.raises(RemoteProtocolError, match="bad-request"):
            session._checked(word, 3, 5.0, time.monotonic())


@pytest.mark.parametrize(("ordinary", "special"),
                         [(1, 0), (2, 0), (7, 0), (8, 2), (15, 0), (15, 1), (50, 0), (1, 3)])
def test_bins_travel_packed(ordinary, special):
    packing, bins = Packing(ordinary, special), ordinary + 1 + special
    features = packing.per + 2
    index = np.random.default_rng(bins).integers(0, bins, (4, features))
    index[0], index[1], index[2] = 0, ordinary, bins - 1
    words = packing.pack(index)
    assert words.shape == (4, packing.words(features)) and not words[1].any()

    async def program(mpc):
        found = packing.indicators(mpc, secret(mpc, words), [features])
        return await mpc.output(found)
    hot = (index[:, :, None] == np.arange(bins)).reshape(4, -1)
    np.testing.assert_array_equal(run_cluster(program, 4)[0], hot)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_reasons_cost_what_they_should(d):
    points = np.random.default_rng(d).integers(-9, 9, (d, 3))
    bins = np.random.default_rng(d + 1).integers(0, 3, (4, d))
    count, twin = min(3, d), Scorecard(("x",) * d, points, 0, Scaling())
    found = []

    async def program(mpc):
        hot = (bins[:, :, None] == np.arange(3)).reshape(4, -1).astype(int)
        secret_card = SecretScorecard(("x",) * d, mpc.array(points), mpc.array(np.array(0)),
                                      mpc.array(points.max(1)), Scaling())
        rows = mpc.array(hot)
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            reasons = secret_card.reasons(mpc, rows, count)
            await reasons.ready()
        found.append((cost.rounds, cost.bytes_sent))
        return await mpc.output(reasons)
    np.testing.assert_array_equal(run_cluster(program, 4)[0], twin.reasons(bins, count))
    expected = reasons_cost(4, d, count, 4, 1)
    assert found[0][0] == expected.rounds
    assert sum(sent for _, sent in found) == expected.total_bytes


def test_a_rehearsal_runs_the_whole_program(monkeypatch):
    """Or a spare worker would never be ready."""
    asked = []
    reasons = SecretScorecard.reasons
    monkeypatch.setattr(SecretScorecard, "reasons",
                        lambda *arguments: asked.append(1) or reasons(*arguments))
    rehearse()
    assert len(asked) == 4
