"""Scores of applicants by a kept model, as a job; and changes of its state.

The asker's applicants are matched with the tables of the other parties by the secure join, so
nobody learns who is asked. Of a party's features travel, per row, the bins of up to 15 features
packed into one number; after the join those of the applicants come apart into shared indicators. A
party that does not know an applicant counts as having its values missing. Score and reason codes
open to the asker alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.errors import RemoteProtocolError
from models.parameters import Scaling
from models.scorecard import SecretScorecard
from models.store import ModelStore
from protocols.binning import bin_index
from protocols.join import SecureJoin
from protocols.join_order import permutation
from protocols.steps import Progress, Steps

_WORD_BITS = 60
_MOST_ROWS = 1 << 27


async def score_program(mpc, *, parties: Sequence[str], parameters: Any, progress: Progress,
                        store: ModelStore, identity: str, reasons: int, ids: Any,
                        columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Score the applicants `ids` of party 0 with the model of that identity.

    At party 0 `ids` and `columns` are the applicants and its own features, elsewhere the party's
    table. Outputs at party 0: "scores" and "reasons", names of at most so many features, in the
    order of the applicants; none elsewhere. The numbers of rows open to everybody. About 50
    rounds for any number of applicants.
    """
    steps = Steps(mpc, progress)
    with steps.step('load'):
        scorer = Scorer(mpc, store, identity, reasons)
        words = scorer.pack(columns)
    with steps.step('match'):
        rows = await sizes(mpc, len(ids))
        matched = await scorer.match(rows, ids)
    with steps.step('score'):
        outputs = await scorer.score(matched, words)
    return {'steps': steps.costs, 'outputs': outputs}


async def sizes(mpc, own: int) -> list[int]:
    """How many rows every party brings, opened to everybody; one input and one opening.

    Raises RemoteProtocolError `bad-size` for what cannot be a number of rows.
    """
    everyones = await mpc.output(mpc.input(mpc.array(np.array([own]))))
    counts = [int(count[0]) for count in everyones]
    for party, count in enumerate(counts):
        if not 0 <= count <= _MOST_ROWS:
            raise RemoteProtocolError('bad-size', f'a table of {count} rows, expected at most '
                                      f'{_MOST_ROWS}', party=party,
                                      remedy='ask that party what it runs')
    return counts


@dataclass(frozen=True)
class Matched:
    """Applicants whose rows at the other parties are found; `order` is known to party 0 alone."""

    join: SecureJoin
    order: np.ndarray | None


class Scorer:
    """A kept card as shares of this computation, for any number of lists of applicants.

    Raises what `ModelStore.find` and `load` do.
    """

    def __init__(self, mpc, store: ModelStore, identity: str, reasons: int) -> None:
        record = store.find(identity)
        record, shares = store.load(mpc, record.name, record.version, identity=identity)
        card = record.card
        self._mpc, self._card = mpc, card
        self._packing = Packing(card['max_bins'], len(card.get('special_values', ())))
        self._secret = SecretScorecard(tuple(card['features']), shares['points'], shares['base'],
                                       shares['best'], Scaling(**card['scaling']))
        self._reasons = min(reasons, len(card['features']))

    def pack(self, columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """This party's own features of rows, (rows, words); None if it has none on the card."""
        return self._packing.pack(own_bins(self._card, columns)) if self._card['columns'] else None

    async def match(self, rows: Sequence[int], ids: Any) -> Matched:
        """Find the applicants, `rows[0]` of them, in the lists of the others; a join of its own,
        with new tags and a new order. `ids` are party 0's applicants, elsewhere the own list."""
        join = SecureJoin(self._mpc, rows, rows[0])
        order = permutation(rows[0]) if self._mpc.pid == 0 else None
        await join.match(ids, order)
        return Matched(join, order)

    async def score(self, matched: Matched, words: np.ndarray | None) -> dict[str, Any]:
        """"scores" and "reasons" of the applicants at party 0, nothing elsewhere; `words` are the
        own features that `pack` gave."""
        mpc, packing, features = self._mpc, self._packing, self._card['features']
        owners = sorted(set(self._card['owners']))
        counts = [self._card['owners'].count(party) for party in owners]
        found = [matched.join.columns(party, words if mpc.pid == party else None,
                                      packing.words(count))
                 for party, count in zip(owners, counts, strict=True)]
        indicators = packing.indicators(mpc, mpc.concatenate(found, axis=1), counts)
        opened = await mpc.output([self._secret.score(mpc, indicators),
                                   self._secret.reasons(mpc, indicators, self._reasons)], 0)
        if matched.order is None:
            return {}
        scores, places = (np.empty_like(part) for part in opened)
        for part, back in zip(opened, (scores, places), strict=True):
            back[matched.order] = part
        return {'scores': scores.astype(int).tolist(),
                'reasons': [[features[int(k)] for k in row if k >= 0] for row in places]}


async def state_program(mpc, *, parties: Sequence[str], parameters: Any,
                        progress: Progress) -> dict[str, Any]:
    """See that all parties are there before each changes its own store; opens nothing of a model.
    """
    steps = Steps(mpc, progress)
    with steps.step('agree'):
        await mpc.output(mpc.input(mpc.array(np.array([1]))))
    return {'steps': steps.costs, 'outputs': {}, 'keep': {}}


def rehearse() -> None:
    """Score nobody with a made-up card among four parties in this process, so that all is loaded.
    """
    from engine.cluster import run_cluster

    card = {'features': ['a', 'b'], 'owners': [0, 1], 'max_bins': 4, 'scaling': vars(Scaling()),
            'columns': ['x'], 'breaks': [[0.0]]}

    class Made(ModelStore):
        def find(self, identity):
            return SimpleNamespace(name='', version=1, card=card)

        def load(self, mpc, name, version=None, *, identity=None):
            whole = {'points': np.ones((2, 5), np.int64), 'base': np.array(1), 'best': np.ones(2)}
            return self.find(''), {key: mpc.array(value.astype(np.int64))
                                   for key, value in whole.items()}

    async def program(mpc):
        await score_program(mpc, parties=range(4), parameters=None, progress=lambda *_: None,
                            store=Made(''), identity='', reasons=2,
                            ids=np.array(['nobody'], object), columns={'x': np.zeros(1)})

    run_cluster(program, m=4)


def own_bins(card: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Bins (rows, features) of a party's own features of a card, at least one, from its columns.
    """
    special = card.get('special_values', ())
    found = [bin_index(columns[name], np.array(breaks), card['max_bins'], special)
             for name, breaks in zip(card['columns'], card['breaks'], strict=True)]
    return np.stack(found, axis=1)


class Packing:
    """Bins of several features in one number, `per` at a time; zero is the bin of missing values.

    Of `ordinary` bins, one of missing values after them, and `special` ones at the end.
    """

    def __init__(self, ordinary: int, special: int = 0) -> None:
        self.missing, self.bins = ordinary, ordinary + 1 + special
        self.bits = max(1, (self.bins - 1).bit_length())
        self.per = _WORD_BITS // self.bits

    def words(self, features: int) -> int:
        """Numbers per row."""
        return -(-features // self.per)

    def pack(self, index: np.ndarray) -> np.ndarray:
        """(rows, words) of bins (rows, features)."""
        rows, features = index.shape
        codes = np.zeros((rows, self.words(features) * self.per), np.int64)
        codes[:, :features] = (self.missing - index) % self.bins
        shifts = self.bits * np.arange(self.per)
        packed: np.ndarray = (codes.reshape(rows, self.words(features), self.per) << shifts).sum(2)
        return packed

    def indicators(self, mpc, words, counts: Sequence[int]):
        """Shared indicators (rows, features·bins) of shared words: one decomposition into bits and
        log-many products per bin and row.

        The words of several owners stand side by side; `counts` are their numbers of features.
        """
        rows, used = words.shape[0], min(self.per, max(counts))
        slots: list[int] = []
        first = 0
        for count in counts:
            slots += [(first + j // self.per) * used + j % self.per for j in range(count)]
            first += self.words(count)
        features = len(slots)
        bits = mpc.to_bits(words, used * self.bits)
        bits = bits.reshape(rows, first * used, self.bits).take(np.array(slots), axis=1)
        last = bits[:, :, self.bits - 1:]
        known = mpc.concatenate([1 - last, last], axis=2)
        # From the highest bit down: each code splits into the two that begin with it.
        for k in range(self.bits - 2, -1, -1):
            # Codes beyond the last bin do not occur.
            known = known[:, :, :(self.bins - 1 >> k + 1) + 1]
            ones = known * bits[:, :, k:k + 1]
            split = mpc.stack([known - ones, ones], axis=3)
            known = split.reshape(rows, features, 2 * known.shape[2])
        places = (self.missing - np.arange(self.bins)) % self.bins
        return known.take(places, axis=2).reshape(rows, features * self.bins)
