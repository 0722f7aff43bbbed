"""A party's own CSV or Parquet files, column by column.

Errors name file and column and count rows; they go to every party of a job, so they repeat no
value.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGEST = 1 << 53


class File:
    """One CSV or Parquet file, column by column; ValueError that names file and column."""

    def __init__(self, folder: Path, stem: str) -> None:
        from parties.data import DataError
        from parties.data.reader import Reader

        found = _paths(folder, stem)
        if not found:
            raise ValueError(f"there is no file {stem}.csv or {stem}.parquet")
        self.name = found[0].name
        try:
            with Reader(found[0]) as reader:
                self.columns = {name: "" for name in reader.names}
                pieces = list(reader.texts(reader.names))
        except DataError as exc:
            raise ValueError(f"{self.name}: {len(exc.findings)} problem(s)") from None
        self._cells: dict[str, list[str | None]] = {
            name: [cell for piece in pieces for cell in piece[k]]
            for k, name in enumerate(self.columns)
        }

    @staticmethod
    def there(folder: Path, stem: str) -> bool:
        """Whether a folder has the file."""
        return bool(_paths(folder, stem))

    def texts(self, name: str) -> list[str]:
        """A column of text, none missing."""
        cells = self._column(name)
        missing = sum(cell is None for cell in cells)
        if missing:
            raise ValueError(f"{self.name}, column {name}: {missing} rows are empty")
        return [str(cell) for cell in cells]

    def identifiers(self, name: str, repeated: bool = False) -> list[str]:
        """A column of companies, in the form in which they are compared."""
        from protocols.identifiers import normalise

        found = normalise(self._column(name), "plain")
        rejected = found.missing.size + sum(where.size for where in found.rejected.values())
        if rejected:
            raise ValueError(f"{self.name}, column {name}: {rejected} are no identifiers")
        if found.duplicates.size and not repeated:
            raise ValueError(f"{self.name}, column {name}: {found.duplicates.size} are repeated")
        return [str(i) for i in found.ids]

    def numbers(self, name: str, optional: bool = False) -> npt.NDArray[np.float64]:
        """A column of numbers, none missing; zeros if there is no such column and need not be."""
        if optional and name not in self._cells:
            return np.zeros(len(next(iter(self._cells.values()))))
        cells, out = self._column(name), []
        for cell in cells:
            try:
                out.append(float(cell or "nan"))
            except ValueError:
                out.append(np.nan)
        values = np.array(out, np.float64)
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise ValueError(f"{self.name}, column {name}: {wrong} rows are no numbers")
        return values

    def whole(self, name: str, optional: bool = False) -> npt.NDArray[np.int64]:
        """A column of whole numbers from 0."""
        values = self.numbers(name, optional)
        wrong = int(((values < 0) | (values != np.floor(values)) | (values >= _LARGEST)).sum())
        if wrong:
            raise ValueError(f"{self.name}, column {name}: {wrong} are not whole numbers from 0")
        return values.astype(np.int64)

    def days(self, name: str, start: date, count: int) -> npt.NDArray[np.int64]:
        """A column of dates like 2025-12-31, or times, as days since `start`, below `count`."""
        found: list[int] = []
        for text in self.texts(name):
            try:
                found.append((datetime.fromisoformat(text).date() - start).days)
            except ValueError:
                found.append(-1)
        values = np.array(found, np.int64)
        wrong = int(((values < 0) | (values >= count)).sum())
        if wrong:
            raise ValueError(
                f"{self.name}, column {name}: {wrong} are not among the {count} days from {start}"
            )
        return values

    def bits(self, name: str) -> npt.NDArray[np.int64]:
        """A column of zeros and ones."""
        values = self.whole(name)
        wrong = int((values > 1).sum())
        if wrong:
            raise ValueError(f"{self.name}, column {name}: {wrong} are neither 0 nor 1")
        return values

    def _column(self, name: str) -> list[Any]:
        if name not in self._cells:
            raise ValueError(f"{self.name} has no column {name}")
        return self._cells[name]


def _paths(folder: Path, stem: str) -> list[Path]:
    return [p for p in (folder / f"{stem}.csv", folder / f"{stem}.parquet") if p.is_file()]
