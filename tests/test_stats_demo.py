"""`sepc stats related-loans --demo` as a newcomer runs it, on a smaller world: two periods, of
which the second shares only what has changed; and a screenshot of its page."""

import json
import sys
from pathlib import Path
from typing import Any

import networkx
import pandas as pd
import pytest
from browser_kit import assert_shown
from typer.testing import CliRunner

from parties.cli import app
from parties.demo.setup import HOST, make_homes, new_folder
from parties.errors import LocalError
from parties.manifest import MAX_PARTIES
from parties.stats import demo, orders, world
from parties.stats.own import submission
from parties.stats.proposal import statistics_manifest
from parties.stats.stated import problem
from parties.stats.terms import TERMS, terms_of

BANKS = world.banks(2)


@pytest.mark.live
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_two_periods_of_related_loans(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(world, "COMPUTE", world.COMPUTE[:3])
    monkeypatch.setattr(world, "COMPANIES_PER_BANK", 20)
    folder = tmp_path / "run"
    result = CliRunner().invoke(
        app,
        ["stats", "related-loans", "--demo", "--banks", "2", "--out", str(folder), "--json"],
    )
    assert result.exit_code == 0, result.output
    periods = json.loads(result.stdout)["periods"]
    assert [p["period"] for p in periods] == ["2025Q1", "2025Q2"]
    graph, owed = networkx.Graph(), pd.Series(dtype=int)
    for found in periods:
        assert (found["institutions"], found["refused"]) == (list(BANKS), {})
        owed = add(graph, owed, folder / "parties", found["period"])
        groups = [sorted(g) for g in networkx.connected_components(graph)]
        sums = {", ".join(g): int(owed.reindex(g, fill_value=0).sum()) for g in groups}
        alone = {c: int(v) for c, v in owed.items() if c not in graph}
        over = {g: v for g, v in {**sums, **alone}.items() if v > 20_000}
        assert dict(found["lists"][0]["rows"]) == over and over
        document = json.loads(Path(found["files"]["json"]).read_text())
        assert document["record"]["manifest_hash"] == found["manifest_sha256"]
        assert pd.read_csv(found["files"].pop("groups")).to_numpy().tolist() == \
            found["lists"][0]["rows"]
        assert all(Path(path).stat().st_size > 100 for path in found["files"].values())
    for home in (folder / "parties").iterdir():
        kept = list(home.glob("jobs/*/shares.npz"))
        assert len(kept) == (2 if home.name in world.COMPUTE else 0)
        assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    assert_shown(periods[1]["files"]["html"], tmp_path)


def add(graph: networkx.Graph, owed: pd.Series, parties: Path, period: str) -> pd.Series:
    """Take in a period's files; returns what every company owes by now."""

    def table(name: str, stem: str) -> pd.DataFrame:
        return pd.read_csv(parties / name / "data" / "related-loans" / period / f"{stem}.csv")

    edges = table("registry", "edges").query("weight >= 50")
    graph.add_edges_from(zip(edges["first"], edges["second"], strict=True))
    for bank in BANKS:
        made = table(bank, "guarantees")
        graph.add_edges_from(zip(made.guarantor, made.debtor, strict=True))
        loans = table(bank, "loans")
        owed = owed.add((loans.lent - loans.repaid).groupby(loans.company).sum(), fill_value=0)
    return owed


@pytest.mark.parametrize("program, banks", [*((p, 3) for p in TERMS), ("fund-flow", 30)])
def test_every_demo_asks_a_question_and_has_the_data_for_it(
    program: str, banks: int, tmp_path: Path
) -> None:
    names = demo._parties(program, banks)
    run = make_homes(new_folder(tmp_path / "run"), {name: {} for name in names})
    for config in demo._prepare(program, run, world.banks(banks)):
        command = orders._command(program, config)[0]
        manifest = statistics_manifest(
            program, {**command["parameters"], "receiver": "regulator"}, initiator="regulator",
            compute=command["compute"], measurement="ab" * 32, now=0.0, seconds=command["seconds"],
            approve_seconds=command["approve_seconds"],
            parties={name: (key, HOST) for name, key in run.keys.items()},
        )  # fmt: skip
        assert problem(manifest) is None
        terms = terms_of(manifest)
        assert terms.institutions == world.banks(banks)
        for name in terms.senders:
            submission(manifest, name, run.homes[name])


def test_the_number_of_banks_is_one_that_this_machine_can_run() -> None:
    for program in TERMS:
        assert len(demo._parties(program, demo.MOST_BANKS)) <= MAX_PARTIES
        demo.check_banks(program, 30, None)
    assert len(set(world.banks(30))) == 30
    for banks in (1, demo.MOST_BANKS + 1):
        with pytest.raises(LocalError, match=f"{banks} banks were asked for, expected 2 to"):
            demo.check_banks("fund-flow", banks, None)
    demo.check_banks("related-loans", 30, 10_000)
    with pytest.raises(LocalError, match=r"70 processes of 35 parties need about .* 4000 MB are"):
        demo.check_banks("related-loans", 30, 4000)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_memory_that_is_free_is_known() -> None:
    found = demo.available_mb()
    assert found is not None and 0 < found < 2**30


def test_what_is_missing_is_said() -> None:
    result = CliRunner().invoke(app, ["stats", "fund-flow", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "options"
    result = CliRunner().invoke(app, ["stats", "trace", "--banks", "3", "--json"])
    assert "about --demo only" in json.loads(result.stdout)["error"]["cause"]
