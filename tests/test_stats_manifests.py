"""Manifests of statistics: proposed, read, checked and put into words."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.consortium import NOW
from fakes.statistics_jobs import ALL, BANKS, COMPUTE, DIRECTORY, FUND_FLOW, manifest_of

from parties.errors import LocalError
from parties.learned import learned, learned_zh
from parties.manifest import Manifest
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.stats.orders import read_config
from parties.stats.stated import problem
from parties.stats.terms import terms_of


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("compute", [COMPUTE, ("regulator", *COMPUTE[1:])])
def test_a_proposed_manifest_is_what_follows_from_its_parameters(program, compute) -> None:
    manifest = manifest_of(program, compute)
    assert Manifest.read(manifest.document()) == manifest
    assert problem(manifest) is None
    assert (manifest.compute, manifest.threshold) == (compute, 1)
    assert manifest.role("regulator") == ("output" if compute == COMPUTE else "compute")
    optional = set(BANKS) if program in ("fund-flow", "fund-tracing", "joint-table") else set()
    assert set(manifest.optional) == optional
    own = Holdings("c-two", DIRECTORY, "ab" * 32, manifest.inputs["c-two"], PROGRAMS)
    decision = decide(manifest, "regulator", own, NOW)
    assert decision.approved, decision.failed
    for party, sentences in learned(manifest).items():
        received = party == "regulator" or (
            party in BANKS and program not in ("fund-flow", "joint-table"))
        assert sentences[0].startswith("Outputs:") == received
    assert set(learned_zh(manifest)) == set(manifest.names)


@pytest.mark.parametrize(("compute", "verified", "least"), [
    (COMPUTE[:3], True, 4), (COMPUTE[:2], False, 3), (COMPUTE[:1], False, 3),
])  # fmt: skip
def test_nobody_shares_data_among_too_few_compute_parties(compute, verified, least) -> None:
    """With threshold 0 a share is the number itself."""
    proposed = changed(manifest_of(compute=compute), verified=verified, threshold=0)
    for party in ("c-one", "bank-a"):
        own = Holdings(party, DIRECTORY, "ab" * 32, proposed.inputs[party], PROGRAMS)
        [failed] = decide(proposed, "regulator", own, NOW).failed
        assert failed.name == "threshold"
        assert failed.reason == f"{len(compute)} compute parties would see all data, " \
                                f"expected {least} or more"


def test_the_bank_that_draws_the_key_is_needed() -> None:
    manifest = manifest_of("fund-tracing", groups={})
    assert set(manifest.optional) == {*BANKS[1:]} and "registry" not in manifest.names
    alone = manifest_of("fund-tracing", own=False)
    assert problem(alone) is None and set(alone.outputs) == {"table"}


@pytest.mark.parametrize("changes", [
    {"start": "9999-12-31"}, {"start": "soon"}, {"days": 0}, {"percent": [0, 1]}, {"hops": 0},
    {"rule": "fifo"}, {"groups": {"registry": 2, "environment": 2}}, {"amount_bits": 40,
                                                                      "payments": 1 << 22},
])  # fmt: skip
def test_traces_that_cannot_be_asked_for(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError) as raised:
        manifest_of("fund-tracing", **changes)
    assert raised.value.code == "config"


def test_neighbourhoods_need_the_edges_of_all_periods() -> None:
    near = manifest_of("related-loans", hops=2)
    assert problem(near) is None
    assert "at most 2 edges from a borrower" in " ".join(learned(near)["bank-a"])
    for changes in ({"hops": 2, "follows": "ab" * 32}, {"hops": 17}):
        with pytest.raises(LocalError) as raised:
            manifest_of("related-loans", **changes)
        assert raised.value.code == "config"
    public = {"public_edges": "cd" * 32, "edges": {}, "guarantees": 0}
    assert problem(manifest_of("related-loans", hops=2, follows="ab" * 32, **public)) is None


@pytest.mark.parametrize(("noise", "says"), [
    ({"kind": "laplace", "epsilon": 0.1}, "with random noise (epsilon 0.1 for each figure; its "
     "standard deviation in a cell: rows 14.1, "),
    ({"kind": "gaussian", "rho": 0.01}, "with random noise (rho 0.01 for each figure; its "
     "standard deviation in a cell: rows 7.07, "),
])
def test_a_manifest_states_the_noise(noise: dict[str, Any], says: str) -> None:
    for program, changes in (("fund-flow", {}), ("joint-table", {"percentiles": []})):
        noisy = manifest_of(program, noise=noise, **changes)
        assert problem(noisy) is None and says in noisy.outputs["table"].meaning
        entry = terms_of(noisy).query().noise
        assert entry is not None and {**entry, **noise} == entry


@pytest.mark.parametrize(("program", "changes", "says"), [
    ("joint-table", {"percentiles": [50]}, "percentiles: exact"),
    ("joint-table", {"percentiles": [], "variance": True, "amount_bits": 20}, "variance: exact"),
    ("joint-table", {"percentiles": [], "noise": {"kind": "laplace"}}, "epsilon 0.0: expected"),
    ("fund-flow", {"rules": {"rounding": 5}, "amount_bits": 40}, "cannot be rounded"),
    *[(program, {}, "noise") for program in ("green-finance", "related-loans", "fund-tracing")],
])  # fmt: skip
def test_noise_that_cannot_be_had(program: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(LocalError, match=says) as raised:
        manifest_of(program, **{"noise": {"kind": "laplace", "epsilon": 0.01}, **changes})
    assert raised.value.code == "config"


def changed(manifest: Manifest, **changes: Any) -> Manifest:
    return Manifest.read({**manifest.document(), **changes})


def test_a_manifest_cannot_say_other_than_its_parameters() -> None:
    manifest = manifest_of()
    document = manifest.document()
    wider = json.loads(json.dumps(document["inputs"]))
    wider["bank-a"]["parts"][0]["rows"] += 1
    needed = json.loads(json.dumps(document["inputs"]))
    needed["bank-a"]["optional"] = False
    quick = json.loads(json.dumps(document["inputs"]))
    quick["bank-a"]["seconds"] = 5
    for changes, says in [
        ({"inputs": wider}, "inputs are not"), ({"inputs": needed}, "inputs are not"),
        ({"inputs": quick}, "not the same for all"), ({"initiator": "c-one"}, "expected the initi"),
        ({"parameters": {**FUND_FLOW, "banks": [*BANKS[:2]]}}, "is asked for nothing"),
        ({"parameters": {**FUND_FLOW, "banks": [*BANKS, "x"]}}, "x is asked for data"),
        ({"parameters": {**FUND_FLOW, "receiver": "c-one"}}, "receives nothing"),
        ({"parameters": {**FUND_FLOW, "quorum": 9}}, "a quorum of 9 of 3"),
        ({"parameters": {**FUND_FLOW, "secret": 1}}, "parameters are not valid"),
        ({"parameters": {**FUND_FLOW, "regions": ["total"]}}, "parameters are not valid"),
    ]:
        found = problem(changed(manifest, **changes))
        assert found is not None and says in found, (changes, found)


@pytest.mark.parametrize("changes, code", [
    ({"banks": ["nobody"], "quorum": 1}, "unknown_party"),
    ({"banks": [f"b{k}" for k in range(61)], "quorum": 1}, "config"), ({"periods": []}, "config"),
    ({"banks": ["bank-a", "c-one"], "quorum": 1}, "config"), ({"rules": {"floor": 0}}, "config"),
])
def test_proposals_that_cannot_be(changes: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(LocalError) as raised:
        manifest_of(**changes)
    assert raised.value.code == code and raised.value.remedy
    with pytest.raises(LocalError, match="cannot be read"):
        read_config(tmp_path / "nothing.json")
