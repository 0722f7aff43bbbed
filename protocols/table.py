"""The table one party brings to a job: identifiers, feature columns, perhaps the label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class PartyTable:
    """One party's rows, already validated and normalised; it never leaves its owner.

    ``ids`` are unique and non-empty.  ``columns`` maps a feature name to float64 values with
    NaN for missing, in the order of the file; the label is not among them.  ``label`` holds
    0 (good) and 1 (bad) and is present only at the initiator.
    """

    name: str
    id_name: str
    ids: npt.NDArray[np.object_]
    columns: dict[str, npt.NDArray[np.float64]]
    label_name: str | None = None
    label: npt.NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        rows = len(self.ids)
        for column, values in self.columns.items():
            if values.shape != (rows,):
                raise ValueError(
                    f"party {self.name}: column {column} has shape {values.shape}, "
                    f"expected ({rows},): one value per identifier"
                )
        if (self.label is None) != (self.label_name is None):
            raise ValueError(f"party {self.name}: give label and label_name together or neither")
        if self.label is not None and self.label.shape != (rows,):
            raise ValueError(
                f"party {self.name}: the label has shape {self.label.shape}, expected ({rows},)"
            )

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.ids)

    @property
    def features(self) -> list[str]:
        """Feature names as they appear in results: ``party.column``."""
        return [f"{self.name}.{column}" for column in self.columns]

    def __repr__(self) -> str:
        # A default repr would print identifiers and values into logs and tracebacks.
        return f"PartyTable({self.name!r}, rows={self.rows}, columns={len(self.columns)})"
