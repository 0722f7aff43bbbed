"""A credit job in tests: its tables, the whole of it on an in-process cluster beside its twin, its
manifest, and what a node decides about it."""

from __future__ import annotations

import killed_kit
import numpy as np
from fakes.consortium import DIRECTORY, MEASUREMENT, NAMES, NOW, inputs

from engine.cluster import run_cluster
from engine.encoding import encode
from models.credit import credit_program
from models.parameters import CreditParameters
from models.plain.credit import plain_credit
from models.store import ModelStore
from parties.policy import Holdings, decide
from parties.programs import PROGRAMS
from parties.proposal import credit_manifest
from protocols.table import PartyTable

SPECIAL = -999.0
ROWS = 200
ENCODING = {"max_bins": 4, "prebins": 6, "min_share": 0.1, "special_values": [SPECIAL, 7777],
            "min_bin_rows": 5}
JOB = {**ENCODING, "binning": "tree", "special_values": [SPECIAL], "max_features": 3,
       "vif_steps": 1, "iv_threshold": 0.05, "examples": 3, "reasons": 2, "roc_points": 5,
       "bands": 5, "scores_per_day": 25}
BASE = {**JOB, "binning": "quantile"}


def tables(seed=1):
    """Two features per party: some values missing or special in all, one wholly missing, one
    constant, one of few values."""
    rng = np.random.default_rng(seed)
    everyone = np.array([f"B{k:04d}" for k in range(ROWS + 20)], object)
    risk = rng.normal(size=len(everyone))
    made = []
    for name in NAMES:
        rows = rng.choice(len(everyone), ROWS, replace=False)
        a = risk[rows] + rng.normal(size=ROWS)
        a[rng.random(ROWS) < 0.1] = np.nan
        a[rng.random(ROWS) < 0.15] = SPECIAL
        b = {"bank": np.full(ROWS, np.nan), "fintech": np.full(ROWS, 3.0),
             "government": np.round(risk[rows] ** 2), "telecom": -risk[rows]}[name]
        label = (rng.random(ROWS) < 1 / (1 + np.exp(1 - 2 * risk[rows]))).astype(np.int8)
        bank = name == "bank"
        made.append(PartyTable(name, "id", everyone[rows], {"a": a, "b": b},
                               "default" if bank else None, label if bank else None))
    return made


def brought(parties):
    return {"inputs": {t.name: list(t.columns) for t in parties},
            "rows": {t.name: t.rows for t in parties}}


def run(document, parties=None, stores=None, folder=None, **options):
    """(results, twin) of a whole job, with checkpoints in a folder if there is one."""
    parties, parameters = parties or tables(), CreditParameters.from_json(document)

    async def program(mpc):
        return await credit_program(
            mpc, parties=list(NAMES), table=parties[mpc.pid], parameters=parameters,
            progress=lambda *_: None, store=stores and stores[mpc.pid],
            checkpoints=folder and killed_kit.kept(folder, mpc.pid), **brought(parties))
    return run_cluster(program, 4, **options), plain_credit(parties, parameters)


def kept(folder, pid, features, weights, parties=NAMES):
    """A store with a model whose weights everybody knows; its identity is the same everywhere."""
    store = ModelStore(folder)
    store.put("old", {"weights": (encode(np.array(weights), 24), 24)}, session=b"one",
              manifest_hash="", place=(pid, 4, 1), lineage={"parties": list(parties)},
              card={"features": list(features)})
    return store


def manifest(**parameters):
    return credit_manifest(
        inputs={name: inputs(name) for name in NAMES}, keys=dict(DIRECTORY),
        parameters=CreditParameters(**parameters).to_json(), measurement=MEASUREMENT, now=NOW,
        seconds=600)


def decided(agreed, models=None):
    own = Holdings("telecom", DIRECTORY, MEASUREMENT, inputs("telecom"), PROGRAMS,
                   models=models or {})
    return decide(agreed, "bank", own, NOW).failed
