"""`sepc stats trace` on real nodes: the regulator and two more compute, a registry tells groups,
and of three banks one brings an amount that no payment has."""

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from browser_kit import assert_shown
from fakes.fleet import Fleet
from tracing_kit import GROUPS, random_rows, same

from parties.stats.terms import FundTracingTerms
from parties.stats.world import write_table
from protocols.stats.plain.fund_tracing import fund_tracing_table

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

COMPUTE = ("regulator", "auditor", "centre")
BANKS = ("bank-a", "bank-b", "bank-extreme")
START = date(2025, 1, 1)
SECRET = 47_654_321_098  # seven digits would be in some hash once in a few thousand runs
TERMS = {
    "title": "Where credit funds went", "delivery": "d1", "period": "2025Q1", "banks": [*BANKS],
    "regions": ["east", "west"], "start": START.isoformat(), "days": 20, "hops": 3, "window": 15,
    "payments": 40, "loans": 20, "accounts": 10, "groups": {"registry": 4}, "own": True,
    "quorum": 2, "percent": [1, 1],
    "rules": {"minimum": 2, "zeros": False, "dominance": [2, 100], "p_ratio": 0},
}  # fmt: skip


def test_a_release_with_bad_banks_and_flags_for_the_others(tmp_path: Path) -> None:
    terms = FundTracingTerms.from_json({**TERMS, "receiver": "regulator"})
    rows = random_rows(terms.protocol, 3)
    rows["bank-a"]["payments"]["amount"][0] = SECRET
    with Fleet(
        tmp_path / "run",
        names=(*COMPUTE, *BANKS, "registry"),
        modules={"bank-extreme": "fakes.bad_bank"},
    ) as fleet:
        for bank, own in rows.items():
            bring(fleet.homes[bank], own)
        write_table(fleet.homes["registry"] / "data" / "fund-tracing" / "groups.csv", GROUPS)
        config = tmp_path / "question.json"
        fields = {**TERMS, "compute": COMPUTE, "seconds": 300, "submit_seconds": 100}
        config.write_text(json.dumps(fields), encoding="utf-8")
        out = tmp_path / "release"
        found = fleet.sepc("regulator", "stats", "trace", "--config", config, "--out", out)

        good = ["bank-a", "bank-b"]
        assert found["institutions"] == good
        assert found["refused"] == {
            "bank-extreme": "1 numbers are outside of what the manifest allows"
        }
        document = json.loads((out / "release.json").read_text())
        twin = fund_tracing_table(terms.protocol, {b: rows[b] for b in good}, GROUPS)
        same(terms.protocol, document, twin, tuple(good))
        shown = [c["status"] == "shown" for c in document["cells"]]
        assert any(shown) and not all(shown)
        assert document["record"]["manifest_hash"] == found["manifest_sha256"]
        for name in BANKS:
            fleet.finished(name, found["job_id"])
        for bank in good:
            own = fleet.sepc(bank, "stats", "own", found["job_id"])
            assert (own["accepted"], own["own"]) == (True, twin.flags(bank))
        own = fleet.sepc("bank-extreme", "stats", "own", found["job_id"])
        assert "own" not in own and own["reason"] == found["refused"]["bank-extreme"]
        assert "own" not in fleet.sepc("registry", "stats", "own", found["job_id"])

        # The same loans with another threshold would show the loans between the two.
        config.write_text(json.dumps({**fields, "percent": [50, 10]}), encoding="utf-8")
        refused = fleet.attempt("regulator", "stats", "trace", "--config", config, "--out",
                                tmp_path / "second")  # fmt: skip
        assert "differencing" in refused["error"]["cause"]
        for name, home in fleet.homes.items():
            for path in home.rglob("*"):
                if path.is_file() and path.suffix != ".csv":
                    assert str(SECRET).encode() not in path.read_bytes(), (name, path)
    page = (out / "release.html").read_text()
    assert "reached restricted accounts" in page and "流入受限领域" in page
    assert_shown(out / "release.html", tmp_path)


def bring(home: Path, own: dict[str, Any]) -> None:
    """A bank's files."""
    for part, columns in own.items():
        dated = dict(columns)
        if "day" in dated:
            dated["day"] = [(START + timedelta(days=int(d))).isoformat() for d in dated["day"]]
        write_table(home / "data" / "fund-tracing" / f"{part}.csv", dated)
