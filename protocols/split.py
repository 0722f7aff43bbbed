"""The train/test split: made by the initiator over its own rows, reproducible by it alone.

Each row's place follows from a keyed hash of its identifier, so the split depends neither on
the order of the file nor on which rows the other parties hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt


def training_mask(
    ids: Iterable[str], label: npt.ArrayLike, test_share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """True for training rows: the first ``round((1 - test_share) * n)`` of each class in the
    order of the keyed hash."""
    if not 0 < test_share < 1:
        raise ValueError(f"test_share is {test_share}, expected a number between 0 and 1")
    if not 0 <= seed < 2**64:
        raise ValueError(f"split seed is {seed}, expected 0 <= seed < 2**64")
    key = seed.to_bytes(8, "big")
    digests = np.array(
        [int.from_bytes(blake2b(i.encode(), digest_size=8, key=key).digest(), "big") for i in ids],
        dtype=np.uint64,
    )
    classes = np.asarray(label)
    if classes.shape != digests.shape:
        raise ValueError(f"{digests.size} identifiers but {classes.size} labels")
    mask = np.zeros(digests.size, dtype=bool)
    for value in np.unique(classes):
        rows = np.flatnonzero(classes == value)
        order = rows[np.argsort(digests[rows], kind="stable")]
        mask[order[: round((1 - test_share) * rows.size)]] = True
    return mask
