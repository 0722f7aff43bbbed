"""The credit job by every way of binning, and in verified mode: the twin's bins, and who learns
which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from adversary import Attack, attacked, frames_of
from credit_kit import ENCODING, JOB, SPECIAL, brought, decided, manifest, tables
from engine_kit import OF_PROGRAMS, secret
from fakes.consortium import DIRECTORY, NAMES
from typer.testing import CliRunner

from engine.cluster import run_cluster
from engine.errors import EngineError
from models import merging
from models.binning_rules import MERGED, METHODS, BinningRules
from models.credit import credit_program
from models.credit_encode import CreditTable
from models.merging import merged_boundaries, merged_boundaries_cost
from models.parameters import CreditParameters
from models.plain.binning import chi_merge, job_breaks, monotone_merge, tree_merge
from models.plain.credit import common_rows, plain_credit
from models.plain.woe import woe_table
from models.scorecard import Scorecard
from parties.cli import app
from parties.cli_job import Binning
from parties.demo.document import _same_points
from parties.learned import learned, learned_zh
from parties.proposal import opened
from protocols.binning import bin_index
from protocols.split import training_mask

BREAKS = {"fintech.a": [-0.5, 0.5], "bank.a": [0.0]}


def encoded(parties, parameters, **options):
    """(own breaks, features, opened [counts, WOE, IV terms, encoding]) of every party."""

    async def program(mpc):
        made = CreditTable(mpc, list(NAMES), parties[mpc.pid], parameters=parameters,
                           **brought(parties))
        await made.match()
        await made.encode()
        arrays = [made.counts, made.woe, made.terms, made.encoding]
        return made.breaks, made.features, await mpc.output(arrays)
    return run_cluster(program, 4, **options)


# --- bins ---


@pytest.mark.parametrize("method", METHODS)
def test_bins_counts_and_woe_are_those_of_the_twin(method):
    parties = tables()
    parameters = CreditParameters(binning=method, breaks=BREAKS if method == "given" else {},
                                  **ENCODING)
    rules = parameters.bin_rules

    results = encoded(parties, parameters)
    bank, places = parties[0], common_rows(parties)
    train = training_mask(bank.ids, bank.label, parameters.test_share, parameters.split_seed)[
        places["bank"]]
    label = bank.label[places["bank"]][train]
    features, (counts, woe, terms, encoding) = results[0][1:]
    for k, feature in enumerate(features):
        name, _, column = feature.partition(".")
        owner = NAMES.index(name)
        values, rows = parties[owner].columns[column], places[name][train]
        breaks = job_breaks(rules, feature, values, rows, label)
        # The owner knows its own edges, nobody any other's.
        assert results[owner][0][column] == breaks.tolist()
        assert [set(r[0]) for r in results] == [{"a", "b"}] * 4
        table = woe_table(values[rows], label, rules.max_bins, breaks, rules.special_values)
        np.testing.assert_array_equal(counts[k], np.column_stack([table.bad, table.good]))
        np.testing.assert_allclose(woe[k], table.woe, atol=1e-4)
        np.testing.assert_allclose(terms[k].sum(), table.iv, atol=1e-5)
        small = table.bad + table.good < parameters.min_bin_rows
        np.testing.assert_allclose(encoding[k], np.where(small, 0, table.woe), atol=1e-4)
    missing, special = counts[:, rules.missing].sum(1), counts[:, rules.missing + 1:].sum(2)
    assert missing[features.index("bank.b")] == len(label), "wholly missing, and never merged"
    assert special[features.index("telecom.a")].tolist()[0] > 5 and not special[:, 1].any()
    used = (counts[:, :rules.missing].sum(2) > 0).sum(1)
    assert used[features.index("fintech.b")] == 1 and used.max() > 1


@pytest.mark.parametrize(("method", "at_once"),
                         [*((method, 1 << 19) for method in MERGED), ("tree", 6**3 // 3)])
def test_merging_costs_what_it_should(method, at_once, monkeypatch):
    """Features that lack a class stay whole; in one group, or in several."""
    monkeypatch.setattr(merging, "_AT_ONCE", at_once)
    rng = np.random.default_rng(2)
    counts = rng.integers(5, 60, (5, 6, 2))
    counts[1, :, 0], counts[2, :, 1], counts[3] = 0, 0, 0
    rules = BinningRules(method=method, max_bins=3, min_share=0.1, prebins=6)

    async def program(mpc):
        values = secret(mpc, counts)
        await values.ready()
        mpc.floor = mpc.meter.depth
        with mpc.meter.measure() as cost:
            bits = await merged_boundaries(mpc, values, rules)
            await bits.ready()
        return await mpc.output(bits), cost.rounds, cost.bytes_sent
    results = run_cluster(program, 4)
    twin = {"tree": tree_merge, "chimerge": chi_merge, "monotone": monotone_merge}[method]
    expected = np.zeros((5, 5), int)
    for k in (0, 4):
        expected[k] = twin(counts[k], max_bins=3, min_share=0.1)
    assert expected.any()
    np.testing.assert_array_equal(results[0][0], expected)
    cost = merged_boundaries_cost(5, rules, 4, 1)
    assert (results[0][1], sum(r[2] for r in results)) == cost


def test_what_merging_sends_depends_on_public_shapes_alone():
    parameters = CreditParameters(binning="tree", **ENCODING)

    def captured(seed):
        sent = []

        def tap(source, target, frame, payload):
            if frame.kind in OF_PROGRAMS:
                sent.append((source, target, frame.kind, frame.tag, frame.operation, len(payload)))
            return [(frame, payload)]
        return [own for own, *_ in encoded(tables(seed), parameters, tap=tap)], sorted(sent)
    (edges, first), (others, second) = captured(1), captured(5)
    assert edges != others and first == second


# --- the whole job ---


@pytest.fixture(scope="module")
def job():
    """The whole job in verified mode, and the twin."""
    parties, parameters = tables(), CreditParameters(**JOB)

    async def program(mpc):
        return await credit_program(
            mpc, parties=list(NAMES), table=parties[mpc.pid], parameters=parameters,
            progress=lambda *_: None, **brought(parties))
    return parties, run_cluster(program, 4, verified=True), \
        plain_credit(parties, parameters)


def test_the_job_gives_what_the_twin_gives(job):
    _, results, plain = job
    outputs = results[0]["outputs"]
    assert outputs["features"] == plain["selected"]
    assert {r["feature"]: r["reason"] for r in outputs["selection"]} == plain["reasons"]
    for feature, value in plain["iv"].items():
        assert outputs["iv"][feature] == pytest.approx(value, abs=1e-5)
    for model in ("joint", "bank"):
        assert outputs["auc"][model] == pytest.approx(plain["auc"][model], abs=1e-6)
        assert outputs["ks"][model] == pytest.approx(plain["ks"][model], abs=1e-6)
    assert outputs["stability"]["psi"] == pytest.approx(plain["psi"], abs=1e-4)
    card = outputs["card"]
    for key in ("features", "points", "base", "scaling"):
        assert card[key] == plain["card"][key]
    assert len(card["points"][0]) == JOB["max_bins"] + 2
    same = _same_points(card, plain["card"])
    assert same["points"] == same["same"] == 1 + len(card["features"]) * (JOB["max_bins"] + 2)


def test_edges_open_to_the_owner_of_the_feature(job):
    _, results, plain = job
    for name, result in zip(NAMES, results, strict=True):
        own = {f: b for f, b in plain["breaks"].items() if f.startswith(f"{name}.")}
        assert result["outputs"]["breaks"] == own
    assert [set(r["outputs"]) for r in results[1:]] == [{"features", "breaks"}] * 3
    assert set(results[0]["outputs"]["card"]["breaks"]) <= {"bank.a", "bank.b"}
    assert set(opened(JOB)) == {name for name in results[0]["outputs"]
                                if name not in ("rows_joint_train", "rows_joint_test",
                                                "gini", "cutoffs")}


def test_examples_and_kept_models_have_the_bins_of_the_card(job):
    parties, results, plain = job
    card = Scorecard.from_json(plain["card"])
    for example in results[0]["outputs"]["examples"]:
        bins = []
        for feature in card.features:
            name, _, column = feature.partition(".")
            [table] = [t for t in parties if t.name == name]
            known = table.columns[column][table.ids == example["applicant"]]
            bins.append(bin_index(known if len(known) else [np.nan],
                                  np.array(plain["breaks"][feature]), 4, [SPECIAL])[0])
        assert example["score"] == card.score([bins])[0]
    for name, result in zip(NAMES, results, strict=True):
        kept = result["keep"]["card"]
        assert (kept["max_bins"], kept["special_values"]) == (4, [SPECIAL])
        assert kept["scores_per_day"] == 25
        assert kept["breaks"] == [plain["breaks"][f"{name}.{c}"] for c in kept["columns"]]


def test_in_verified_mode_no_lie_moves_an_edge():
    """Changed frames of a party that merges: the right bits, or the job stops."""
    counts = np.random.default_rng(4).integers(5, 60, (2, 4, 2))
    rules = BinningRules(method="tree", max_bins=3, min_share=0.1, prebins=4)
    right = [tree_merge(table, max_bins=3, min_share=0.1).astype(int).tolist() for table in counts]

    async def program(mpc):
        bits = await merged_boundaries(mpc, secret(mpc, counts), rules)
        return (await mpc.output(bits)).astype(int).tolist()
    assert run_cluster(program, 4, verified=True) == [right] * 4
    sent, stopped = frames_of(program, 2, verified=True), 0
    for k, kind in enumerate(("wrong", "random", "equivocate", "replay")):
        outcome = attacked(program, Attack(kind, (2 * k + 1) * sent // 8), 2, verified=True)
        assert all(isinstance(r, EngineError) or r == right for r in outcome), (kind, outcome)
        stopped += any(isinstance(r, EngineError) for r in outcome)
    assert stopped


# --- what the manifest says ---


@pytest.mark.parametrize("method", METHODS)
def test_a_manifest_says_who_learns_where_bins_begin(method):
    given = {"breaks": {"fintech.fintech_a": [1, 2]}} if method == "given" else {}
    agreed = manifest(binning=method, **given)
    assert decided(agreed) == ()
    english, chinese = learned(agreed), learned_zh(agreed)
    for name in NAMES:
        assert any("where their bins begin" in s for s in english[name]) == (method in MERGED)
        assert any("本方特征的分箱边界" in s for s in chinese[name]) == (method in MERGED)
        assert ("(of features: 1)" in english[name][-1]) == (method == "given")
        assert ("1个特征的分箱边界" in chinese[name][-1]) == (method == "given")
        assert len(english[name]) == len(chinese[name])
    text = " ".join(agreed.disclosure)
    assert ("merged by the label" in text) == (method in MERGED)
    assert ("that the manifest states" in text) == (method == "given")
    if method not in MERGED:
        return
    for receivers in (["bank"], None):
        document = agreed.document()
        if receivers is None:
            del document["outputs"]["breaks"]
        else:
            document["outputs"]["breaks"]["receivers"] = receivers
        [failed] = decided(type(agreed).read(document))
        assert failed.name == "outputs" and "breaks" in failed.reason


def test_parameters_of_bins_are_checked():
    assert tuple(Binning) == METHODS
    assert CreditParameters().max_bins == 10 and CreditParameters(binning="tree").max_bins == 8
    stated = CreditParameters(binning="given", breaks={"bank.a": [1, 2]}, special_values=[-1])
    assert CreditParameters.from_json(json.loads(json.dumps(stated.to_json()))) == stated
    assert stated.to_json()["breaks"] == {"bank.a": [1.0, 2.0]}
    for document, says in [
        ({"binning": "odd"}, "expected one of quantile"),
        ({"binning": "given"}, "breaks names 0 features"),
        ({"breaks": {"bank.a": [1]}}, "breaks names 1 features"),
        ({"breaks": [1]}, "breaks is no object"),
        ({"binning": "given", "breaks": {"bank.a": [2, 1]}}, "ascending order"),
        ({"binning": "given", "breaks": {"bank.a": ["1"]}}, "expected a list of numbers"),
        ({"binning": "given", "breaks": {"bank.a": [10**400]}}, "magnitude"),
        ({"binning": "given", "max_bins": 2, "breaks": {"bank.a": [1, 2]}}, "make 3 bins"),
        ({"binning": "tree", "prebins": 5}, "at least max_bins, 8"),
        ({"special_values": [1, 1.0]}, "each once"),
        ({"special_values": "9"}, "expected a list of numbers"),
        ({"min_share": 0}, "min_share is 0"),
        ({"scores_per_day": -1}, "scores_per_day is -1"),
        ({"memory": 4096}, "memory is 4096, expected a whole number from 1048576"),
        ({"memory": 1e9}, "memory is 1000000000.0, expected a whole number"),
        ({"memory": "1 GB"}, "memory is '1 GB', expected a whole number"),
    ]:
        with pytest.raises(ValueError, match=says):
            CreditParameters.from_json(document)
    with pytest.raises(ValueError, match=r"bank\.zz, which no party brings"):
        manifest(binning="given", breaks={"bank.zz": [1]})


def test_breaks_of_a_feature_that_nobody_brings_end_the_job():
    parties = tables()
    parameters = CreditParameters(binning="given", breaks={"shop.a": [1]})
    with pytest.raises(EngineError, match=r"shop\.a"):
        CreditTable(None, list(NAMES), parties[0], parameters=parameters, **brought(parties))


def test_bins_are_chosen_at_the_command_line(tmp_path: Path):
    def sepc(*words):
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        return result.exit_code, json.loads(result.stdout)

    offers = []
    for name in NAMES:
        home = tmp_path / name
        home.mkdir()
        (home / "node.json").write_text(json.dumps(
            {"name": name, "broker": {"host": "127.0.0.1", "port": 1, "password": "x"},
             "directory": dict(DIRECTORY)}))
        label = ",default" if name == "bank" else ""
        lines = [f"C{k},{k},{k % 7}" + (f",{k % 2}" if label else "") for k in range(60)]
        (home / "firms.csv").write_text("\n".join([f"id,a,b{label}", *lines]) + "\n")
        more = ["--label", "default"] if label else []
        assert sepc("data", "add", "firms", home / "firms.csv", "--home", home, "--key", "id",
                    *more)[0] == 0
        if name != "bank":
            file = tmp_path / f"{name}.json"
            file.write_text(json.dumps(sepc("data", "offer", "firms", "--home", home)[1]))
            offers += ["--offer", file]
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps({"prebins": 12, "min_share": 0.2, "l2": 2}))
    words = ["job", "propose", "--home", tmp_path / "bank", "--program", "credit-model", "--table",
             "firms", *offers, "--parameters", file, "--save", tmp_path / "manifest.json"]
    status, said = sepc(*words, "--binning", "chimerge", "--max-bins", 6, "--min-share", 0.1)
    assert status == 0, said
    written = json.loads((tmp_path / "manifest.json").read_text())
    chosen = {"binning": "chimerge", "max_bins": 6, "min_share": 0.1, "prebins": 12, "l2": 2.0}
    assert written["parameters"].items() >= chosen.items() and "breaks" in written["outputs"]
    for arguments in ([*words, "--binning", "given"], ["demo", "--parameters", offers[1]]):
        status, said = sepc(*arguments)
        assert status == 1 and said["error"]["code"] == "parameters"
