"""What a manifest states about an intersection in the clear, and what a receiver learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a node that only reads plans needs no NumPy
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Plan:
    """What the manifest states about one intersection.

    `rows` are the public sizes of the owners' sets, at most so many identifiers each. `receivers`
    learn the result: owners their own matching rows, or with `size_only` any parties the size.
    Raises ValueError for a plan that contradicts itself.
    """

    owners: tuple[int, int]
    rows: tuple[int, int]
    receivers: tuple[int, ...]
    size_only: bool = False
    helper: int | None = None
    proved: bool = False
    witness: int | None = None

    def __post_init__(self) -> None:
        if len(set(self.owners)) != 2 or self.helper in self.owners:
            raise ValueError(f'owners {self.owners} with helper {self.helper}, expected two '
                             'different owners and a helper that is neither')
        if self.witness is not None and (self.helper is None or
                                         self.witness in (*self.owners, self.helper)):
            raise ValueError(f'witness {self.witness} with owners {self.owners} and helper '
                             f'{self.helper}, expected a fourth party beside a helper')
        outsiders = sorted(set(self.receivers) - set(self.owners))
        if not self.receivers or len(set(self.receivers)) < len(self.receivers):
            raise ValueError(f'receivers {self.receivers}, expected one or more, each once')
        if outsiders and not self.size_only:
            raise ValueError(f'receivers {outsiders} own none of the sets, expected owners: others '
                             'can only receive the size')
        if self.helper is None and len(outsiders) == len(self.receivers):
            raise ValueError('no receiver among the owners, expected one: without a helper an '
                             'owner computes the result')
        if self.proved and (self.helper is not None or self.size_only):
            raise ValueError('a proof with a helper or for the size only, expected neither: the '
                             'proof belongs to the OPRF')

    @property
    def client(self) -> int:
        """The owner that computes the result where there is no helper."""
        return next(o for o in self.owners if o in self.receivers)

    @property
    def server(self) -> int:
        """The other owner."""
        return self.owners[1 - self.owners.index(self.client)]

    def size_of(self, owner: int) -> int:
        """The public size of an owner's set."""
        return self.rows[self.owners.index(owner)]

    def disclosures(self, names: Sequence[str]) -> dict[str, str]:
        """For every party that learns something, by name: what, in one sentence."""
        first, second = (names[o] for o in self.owners)
        told = {}
        for party in self.receivers:
            other = second if names[party] == first else first
            told[names[party]] = (
                f'learns how many identifiers {first} and {second} have in common, not which'
                if self.size_only else
                f'learns which of its own identifiers {other} has too, and nothing about the rest')
        for party in self.helpers:
            if party not in self.receivers:
                told[names[party]] = (
                    f'learns how many identifiers {first} and {second} have in common, not which')
        return told

    @property
    def helpers(self) -> tuple[int, ...]:
        """The helper and the witness, as far as there are any."""
        return tuple(p for p in (self.helper, self.witness) if p is not None)


@dataclass(frozen=True, eq=False)
class Intersection:
    """What a receiver learns: the size and, unless only that was agreed, its own matching rows
    in ascending order."""

    size: int
    rows: npt.NDArray[np.int64] | None

    def __repr__(self) -> str:
        return f'Intersection(rows={"not revealed" if self.rows is None else "…"})'
