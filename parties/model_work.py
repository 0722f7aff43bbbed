"""A worker's part in jobs on models: what it reads from its node's store, and what it leaves there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.parameters import CreditParameters
from models.store import ModelStore
from parties.holdings import bring_table
from parties.manifest import Inputs, Manifest
from parties.model_rows import own_rows
from parties.model_terms import DESTROYED, MODELS, ScoreParameters, StateParameters

Files = Mapping[str, str]


def keep_model(folder: Path, manifest: Manifest, kept: Mapping[str, Any]) -> None:
    """Store a trained model's shares as a draft in the home that the job's folder is in."""
    pid = kept["party"]
    own = manifest.inputs[manifest.compute[pid]]
    assert isinstance(own, Inputs)
    digest = manifest.sha256()
    _store(folder).put(
        kept["name"],
        kept["arrays"],
        session=bytes.fromhex(digest),
        manifest_hash=digest,
        place=(pid, len(manifest.compute), manifest.threshold),
        lineage={**kept["lineage"], "job_id": manifest.job_id, "measurement": manifest.measurement},
        metrics=kept["metrics"],
        card={
            **kept["card"],
            "table": own.table,
            "id_column": own.id_column,
            "profiles": list(own.profile),
        },
    )


def bring_credit(
    party: str, manifest: Manifest, parameters: CreditParameters, files: Files, keys: Any
) -> dict[str, Any]:
    """The party's table, and its store if the training starts from a model that is kept there."""
    brought = bring_table(party, manifest, parameters, files, keys)
    if parameters.start_from is not None:
        brought["store"] = ModelStore(Path(files["home"]) / MODELS)
    return brought


def bring_score(
    party: str, manifest: Manifest, parameters: ScoreParameters, files: Files, keys: Any
) -> dict[str, Any]:
    """The model for everybody; the applicants for the asker, its own table for any other party."""
    home = Path(files["home"])
    store = ModelStore(home / MODELS)
    card = store.find(parameters.identity).card
    if party == manifest.initiator:
        path = Path(files["own"])
        with np.load(path, allow_pickle=False) as given:
            ids = given["ids"].astype(object)
            columns = {name: given[f"column {name}"] for name in card["columns"]}
        path.unlink()  # who is asked need not outlive the job
    else:
        rows, columns = own_rows(home, card)
        ids = np.array(rows, dtype=object)
    return {
        "store": store,
        "identity": parameters.identity,
        "reasons": parameters.reasons,
        "ids": ids,
        "columns": columns,
    }


def bring_state(
    party: str, manifest: Manifest, parameters: Any, files: Files, keys: Any
) -> dict[str, Any]:
    """Nothing: a change of state computes on nothing."""
    return {}


def keep_state(folder: Path, manifest: Manifest, kept: Mapping[str, Any]) -> None:
    """Move the model to the agreed state in this node's store, or destroy its shares."""
    wanted = StateParameters.from_json(manifest.parameters)
    store = _store(folder)
    found = [r for name in store.names() for r in store.versions(name)]
    for record in found:
        if record.identity != wanted.identity:
            continue
        if wanted.state == DESTROYED:
            store.delete(record.name, record.version)
        else:
            store.set_state(record.name, record.version, wanted.state)


def _store(folder: Path) -> ModelStore:
    """The store of the node whose `jobs/<job>` the folder is."""
    return ModelStore(folder.parents[1] / MODELS)
