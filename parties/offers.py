"""Offers: what an owner lets a proposer say about one of its tables, in a file between operators.

An offer is a table's shape as manifests state it: a name, sizes, columns, never a value. The owner
makes it (`sepc data offer`), so the owner decides which features are asked for and behind which
public size the number of its rows hides. It binds nobody: the owner's node compares every manifest
with the table itself.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from parties.config import NodeConfig
from parties.errors import LocalError
from parties.holdings import shape
from parties.manifest import Inputs, PartyName, Strict, explain


class Offer(Strict):
    """One table of one party."""

    format: Literal["sepc-offer/1"] = "sepc-offer/1"
    party: PartyName
    inputs: Inputs


def make_offer(
    home: Path,
    table: str,
    bound: int | None = None,
    features: Sequence[str] | None = None,
    labelled: bool = True,
) -> Offer:
    """The offer of a registered table, which is read and checked for it.

    `features` are those to offer, None for all; `bound` is the public size, None for the number of
    rows itself. Raises LocalError and DataError if there is no such table or it cannot be used.
    """
    from parties.data.registry import Registry

    party = NodeConfig.load(home).name
    entry = Registry.load(home).find(table)
    with entry.open(features=features, labelled=labelled) as source:
        inputs = shape(source, table)
    if bound is not None:
        if inputs.rows > bound:
            raise LocalError(
                "too_many_rows",
                f"the table {table} holds {inputs.rows} businesses, more than the bound {bound}",
                "state a larger bound, or offer a smaller table",
                party=party,
            )
        inputs = inputs.model_copy(update={"rows": bound, "padded": True})
    return Offer(party=party, inputs=inputs)


def read_offer(path: Path) -> Offer:
    """An offer from a file; LocalError if it is none."""
    document = read_json(path, "offer")
    try:
        return Offer.model_validate_json(json.dumps(document))
    except ValidationError as exc:
        raise LocalError(
            "offer", f"{path}: {explain(exc)}", "give what sepc data offer --json printed"
        ) from None


def read_json(path: Path, code: str) -> Any:
    """The document in a JSON file; LocalError if it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        cause = f"{path} cannot be read ({type(exc).__name__})"
        raise LocalError(code, cause, "give a JSON file") from None
