"""`sepc study uplift`: the demonstration's organisations, and the study in place of the one model.

Like `sepc demo` it starts a node per organisation and only watches; the plaintext twin is computed
afterwards, outside all parties, and stands in the document beside the joint figures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from parties.demo.document import agreed, cost, signed, step_seconds
from parties.demo.drive import Options, Program, run_demo
from parties.demo.watch import Watch
from parties.study.proposal import uplift_manifest

STEPS = {
    "approve": "approve",
    "load": "read own data",
    "connect": "connect",
    "join": "join rows",
    "woe_iv": "WOE",
    "train_subsets": "train all subsets",
    "evaluate": "evaluate",
    "open": "open results",
}
_KEYS = ("bad", "good", "sums", "moments_bad", "moments_good", "ks", "curves")


def run_study(options: Options) -> dict[str, Any]:
    """Run the study; returns its document. Raises what `parties.demo.run_demo` raises."""
    from parties.study.page import write_study

    return run_demo(
        options,
        Program(
            manifest=uplift_manifest,
            plain=_plain,
            parameters=_parameters,
            document=build,
            write=write_study,
            steps=STEPS,
        ),
    )


def build(
    watch: Watch, outputs: dict[str, Any], plain: dict[str, Any], seconds: dict[str, float]
) -> dict[str, Any]:
    """The document: tables, what they rest on, who learned what, and what it cost."""
    from models.uplift_tables import Opened, uplift_table

    manifest = watch.manifest
    figures: dict[str, Any] = {k: np.asarray(outputs[k], float) for k in _KEYS[2:]}
    opened = Opened(bad=outputs["bad"], good=outputs["good"], **figures)
    table = uplift_table(manifest.initiator, manifest.names[1:], opened)
    receipts = {name: receipt for name, (_, receipt) in watch.receipts.items()}
    return {
        **agreed(manifest),
        **{k: outputs[k] for k in ("rows_joint", "rows_joint_train", "rows_joint_test")},
        "bad": outputs["bad"],
        **table,
        "plaintext": plain,
        "opened": {k: outputs[k] for k in _KEYS},
        "seconds": {**seconds, **step_seconds(watch)},
        "cost": cost(receipts),
        **signed(watch),
    }


def _parameters(document: dict[str, Any]) -> dict[str, Any]:
    from models.uplift_parameters import UpliftParameters

    return UpliftParameters.from_json(document).to_json()


def _plain(tables: Sequence[Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """AUC and KS of every subset in the clear."""
    from models.plain.uplift import plain_uplift
    from models.uplift_parameters import UpliftParameters
    from models.uplift_tables import auc_covariance, subsets

    found = plain_uplift(tables, UpliftParameters.from_json(parameters))
    auc = auc_covariance(found)[0]
    names = subsets([t.name for t in tables[1:]])
    return {
        "subsets": [
            {"parties": [tables[0].name, *chosen], "auc": float(auc[k]), "ks": float(found.ks[k])}
            for k, chosen in enumerate(names)
        ]
    }
