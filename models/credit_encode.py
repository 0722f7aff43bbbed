"""The table of a credit job on shares: joined rows, WOE-encoded features, bins of a few examples.

Rows of the initiator that some partner lacks stay in the table with a shared zero weight, so
neither traffic nor shapes depend on who matched. Where bins are merged by the label, an owner first
shares pre-bins, several counters to a word; which of their edges stay opens to it alone, and it
applies them. Of a feature whose bin table opens, the bins that stay closed count as one everywhere,
so that nothing else that opens tells more of them than the table does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import LocalProtocolError
from models.checkpoints import Checkpoints, settled
from models.logistic_design import Design, smallest_memory
from models.merging import merged_boundaries
from models.own_bins import bins_of, first_breaks
from models.row_columns import light_classes, segment_indicators, training_weights
from protocols.binning import kept_breaks, one_hot
from protocols.binning_counts import counts_of_words, packed_words, packing
from protocols.binning_merge import open_boundaries
from protocols.binning_tables import SuppressedTables, suppress
from protocols.join import SecureJoin, split_order, training_slots
from protocols.split import training_mask
from protocols.table import PartyTable
from protocols.woe import bin_counts, encode_woe, woe_terms

WEIGHT = 24
"""Fractional bits of the weights of rows."""
_BLOCK_ELEMENTS = 3 << 20
_ELEMENT = 16
_MATRICES = 3
"""The encoded matrix, and what two models are trained on of its columns."""
SHARE_OF_PASSES = 3
"""A pass takes a third: with all the Hessian's blocks it may hold a quarter more than its bytes."""
BLOCK_COPIES = 12
"""Copies of a block of shared indicators that are there at a time, of two blocks under way."""


def block_width(rows: int, columns: int, memory: int | None) -> int:
    """Features of so many columns each that are shared at a time, by tables of so many rows."""
    elements = _BLOCK_ELEMENTS
    if memory is not None:
        elements = min(elements, memory // (_ELEMENT * BLOCK_COPIES))
    return max(1, elements // (columns * rows))


class CreditTable:
    """`match`, then `encode`; party 0 is the initiator and owns the label. `join` are options of
    `SecureJoin` that keep its rows those of a left join. With `checkpoints` a resumed job has the
    bins, and the order of rows, of the interrupted one.

    Of the features at most `parameters.memory` bytes are held at a time, if that is a number: a
    third of it is for passes over the matrix, which lies in memory if it fits half of it three
    times, else in a file without a name (`models.share_file`), in the folder of the checkpoints or,
    if there are none, of temporary files. A resumed job makes it anew.

    The initiator's column `parameters.sample_weight` is no feature; with `parameters.segment_by`
    the rows held out are in segments (`models.row_columns`).

    After `match`: `classes` (n, 2) [bad, good] of rows that count, (0, 0) of others; the first
    `train` of the n slots are for training, `weights` (train,) theirs, or None; `common_rows`
    [training, test] at the initiator.
    After `encode`: `design` (n, d + 1), the WOE columns and the weight of a row, zero in rows that
    do not count; of every feature `counts` (d, bins, 2), `woe` (d, bins) and `terms` (d, bins) as
    `woe_terms` has them; `encoding` (d, bins), the WOE that `design` holds; `examples`
    (e, d·bins), the bin indicators of the first rows held out, `example_ids` whose they are (at the
    initiator; None for padding); `breaks` of this party's own features; `tables`, by feature, those
    that will open. If any will, `counts`, `woe` and `terms` have one bin more: of these features
    that of all closed bins, which have no rows elsewhere. `rules` are those of the bins.
    """

    def __init__(self, mpc: Any, parties: list[str], table: PartyTable,
                 inputs: dict[str, list[str]], rows: dict[str, int],
                 parameters: Any, join: Mapping[str, Any] | None = None,
                 checkpoints: Checkpoints | None = None) -> None:
        self.checkpoints = checkpoints
        self.mpc, self.parties, self.table = mpc, parties, table
        self.parameters, self.options = parameters, join or {}
        self.inputs = {p: [c for c in columns if f'{p}.{c}' != parameters.sample_weight]
                       for p, columns in inputs.items()}
        self.rows = [rows[p] for p in parties]
        self.owners = [p for p, name in enumerate(parties) for _ in self.inputs[name]]
        self.features = [f'{p}.{c}' for p in parties for c in self.inputs[p]]
        self.slots = training_slots(self.rows[0], parameters.test_share)
        self.rules = parameters.bin_rules
        self.breaks: dict[str, list[float]] = {}
        self.tables: dict[str, SuppressedTables] = {}
        self.weights: Any = None
        self.common_rows: list[int] = []
        self.example_ids: list[str | None] = []
        weights, segments = ({name} - {None} for name in (parameters.sample_weight,
                                                          parameters.segment_by))
        own = {f'{parties[0]}.{column}' for column in inputs[parties[0]]}
        for what, named, known in (
                ('breaks are given for', self.rules.breaks, self.features),
                ('bin tables shall open of', parameters.bin_tables, self.features),
                ('segments shall be those of', segments, self.features),
                ('rows shall be weighted by', weights, own)):
            if unknown := sorted(set(named) - set(known)):
                by = f'{parties[0]} does not bring' if known is own else 'no party brings'
                raise LocalProtocolError(
                    'unknown-feature', f'{what} {", ".join(unknown)}, which {by}',
                    step='woe_iv', remedy='name features of the manifest as party.column')
        self._check_memory()

    def _check_memory(self):
        """Raise LocalProtocolError `too-little-memory` for shapes that the parameter is not for."""
        memory, columns = self.parameters.memory, len(self.features) + 1
        if memory is None:
            return
        rows, share = max(sum(self.slots), *self.rows), _ELEMENT * BLOCK_COPIES
        of_feature = share * self._most_columns * rows
        least = max(SHARE_OF_PASSES * smallest_memory(columns), of_feature)
        if memory < least:
            raise LocalProtocolError(
                'too-little-memory', f'parameter memory is {memory} bytes, expected at least '
                f'{least} for {rows} rows of {columns - 1} features', step='join',
                remedy='state a larger number, or bring fewer rows or features')

    @property
    def _most_columns(self):
        """The most columns in which one feature is shared."""
        words = packing(self.train, self.rules.first_bins).words if self.rules.merges else 0
        return max(self.rules.bins, words, len(self.parameters.segment_values))

    def _design(self):
        """Room for the matrix."""
        rows, columns, memory = sum(self.slots), len(self.features) + 1, self.parameters.memory
        if memory is None:
            return Design(self.mpc, rows, columns)
        folder = None
        if _MATRICES * _ELEMENT * rows * columns > memory // 2:
            folder = Path(tempfile.gettempdir())
            if self.checkpoints is not None:
                folder = self.checkpoints.folder
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Design(self.mpc, rows, columns, memory=memory // SHARE_OF_PASSES, folder=folder)

    @property
    def initiates(self) -> bool:
        """Whether this party is the initiator."""
        return bool(self.mpc.pid == 0)

    @property
    def train(self) -> int:
        """Number of slots of the training part."""
        return self.slots[0]

    async def match(self) -> None:
        """Match identifiers; share the weight of every row and its class.

        Opens to the initiator how many rows are common in both parts, or, if a part has fewer than
        `min_class_rows` of a class, only that: then the job stops (LocalProtocolError
        `too-few-common-rows`). Raises LocalProtocolError of `models.row_columns` at the owner of a
        column that does not fit.
        """
        mpc, table, order, own = self.mpc, self.table, None, None
        label: Any = table.label
        weighted = self.parameters.sample_weight is not None
        self._own_segments = self._segments_here()
        if self.initiates:
            training = training_mask(table.ids, label, self.parameters.test_share,
                                     self.parameters.split_seed)
            own = np.column_stack([label, 1 - label, *self._own_weights(training)])
            order = self._order(training)
            shown = order[self.train:][:self.parameters.examples]
            self.example_ids = [None if row < 0 else str(table.ids[row]) for row in shown]
        self._joined = SecureJoin(mpc, self.rows, sum(self.slots), **self.options)
        await self._joined.match(table.ids, order)
        match = [self._joined.presence(p) for p in range(1, 4)]
        columns = self._joined.columns(0, own, 2 + weighted)
        # A row counts when all three partners have it: (n, 2) indicators of bad and good.
        self.classes = columns[:, :2] * (match[0] * match[1] * match[2])
        if weighted:
            self.weights = columns[:self.train, 2].reinterpret(WEIGHT)
        await self._check_common_rows()

    def _own_weights(self, training):
        """Weights of the initiator's rows as integers, if it gives any: at most one column."""
        name = self.parameters.sample_weight
        if name is None:
            return []
        values = self.table.columns[name.partition('.')[2]]
        return [np.rint(training_weights(name, values, training) * (1 << WEIGHT)).astype(np.int64)]

    def _segments_here(self):
        """Indicators of this party's rows, if their segments are its own; else None."""
        name = self.parameters.segment_by
        if name is None or name.partition('.')[0] != self.parties[self.mpc.pid]:
            return None
        values = self.table.columns[name.partition('.')[2]]
        return segment_indicators(name, values, self.parameters.segment_values)

    def segments(self) -> Any:
        """Shared indicators (rows held out, segments): one of every row that counts."""
        owner = self.parties.index(self.parameters.segment_by.partition('.')[0])
        width = len(self.parameters.segment_values)
        shared = self._joined.columns(owner, self._own_segments, width)
        return shared.take(np.arange(self.train, sum(self.slots)), axis=0)

    def _order(self, training):
        """The secret order of the initiator's rows; that of the interrupted run if it fits them."""
        kept = None if self.checkpoints is None else self.checkpoints.order()
        if kept is not None and kept.dtype == np.int64 and kept.shape == (sum(self.slots),):
            parts = (kept[:self.train], kept[self.train:])
            rows = (np.flatnonzero(training), np.flatnonzero(~training))
            if all(np.array_equal(np.sort(part[part >= 0]), own)
                   for part, own in zip(parts, rows, strict=True)):
                return kept
        order = split_order(training, self.slots)
        if self.checkpoints is not None:
            self.checkpoints.keep_order(order)
        return order

    async def _check_common_rows(self):
        mpc, least = self.mpc, self.parameters.min_class_rows
        parts = [self.classes[:self.train].sum(0), self.classes[self.train:].sum(0)]
        few = [mpc.concatenate(parts) < least]
        if self.weights is not None:
            few.append(light_classes(mpc, self.classes[:self.train], self.weights, least))
        enough = mpc.all(1 - mpc.concatenate(few))
        rows = mpc.stack([part.sum() for part in parts]) * enough
        opened = await mpc.output(mpc.concatenate([rows, enough.reshape(1)]), 0)
        if not self.initiates:
            return
        if not opened[2]:
            light = '' if self.weights is None else ', or weights that count for fewer'
            # Everybody reads this, and how many rows are common is for the initiator alone.
            raise LocalProtocolError(
                'too-few-common-rows', 'of the rows common to all parties the training or the test '
                f'part has fewer than {least} of a class{light}', party=0, step='join',
                remedy='bring tables with more rows in common, or agree on a smaller '
                'min_class_rows')
        self.common_rows = [int(n) for n in opened[:2]]

    async def encode(self) -> None:
        """WOE-encode all features in blocks.

        Nothing opens, but where bins are merged by the label: to each owner the edges of its own
        features that stay.
        """
        mpc, bins, train = self.mpc, self.rules.bins, self.train
        if self.rules.merges:
            await self._merge()
        training = self.classes[:train]
        totals = training.sum(0)
        weight = self.classes.sum(1).reshape(-1, 1)
        parts: dict[str, list[Any]] = {k: [] for k in ('counts', 'woe', 'terms', 'encoding',
                                                       'examples')}
        # Every block goes to its place at once: the matrix is there once, and blocks beside it.
        design = self._design()
        first, before = 0, None
        for party, block in self._blocks(bins):
            indicators = self._joined.columns(party, self._indicators(party, block),
                                              len(block) * bins)
            counts = bin_counts(indicators[:train], training).reshape(len(block), bins, 2)
            closed = None
            if self.parameters.bin_tables:
                counts, closed = self._suppress(party, block, counts)
            woe, terms = woe_terms(mpc, counts, totals)
            encoding = woe * (1 - (counts.sum(2) < self.parameters.min_bin_rows))
            if closed is not None:
                encoding = encoding[:, :bins] + closed * encoding[:, bins:]
            # Rows that some partner lacks must be zero throughout.
            encoded = weight * encode_woe(mpc, indicators, encoding)
            parts['examples'].append(self._shown(party, indicators, len(block)))
            for key, value in (('counts', counts), ('woe', woe), ('terms', terms),
                               ('encoding', encoding)):
                parts[key].append(value)
            if before is not None:
                await design.put(*before)
            first, before = first + len(block), (first, encoded)
        if before is not None:
            await design.put(*before)
        await design.put(first, weight)
        self.design = design
        self.examples = mpc.concatenate(parts['examples'], axis=1)
        self.counts, self.woe, self.terms, self.encoding = (
            mpc.concatenate(parts[key]) for key in ('counts', 'woe', 'terms', 'encoding'))
        await self.examples.ready()

    def _suppress(self, party, block, counts):
        """(counts with one bin more, bits of the closed bins) of a block's features: where a table
        will open, its closed bins have their rows in the added bin."""
        mpc, (features, bins, _) = self.mpc, counts.shape
        names = [f'{self.parties[party]}.{column}' for column in block]
        own = [k for k, name in enumerate(names) if name in self.parameters.bin_tables]
        counts = mpc.concatenate([counts, mpc.array(np.zeros((features, 1, 2), np.int64))], axis=1)
        closed = mpc.array(np.zeros((features, bins), np.int64))
        if not own:
            return counts, closed
        # Many bins are empty because the feature has few values: they need not be hidden.
        tables = suppress(mpc, counts.take(own, axis=0)[:, :bins], self.parameters.table_minimum,
                          zeros_disclosive=False)
        self.tables |= {names[k]: tables.take([i]) for i, k in enumerate(own)}
        pooled = mpc.concatenate([tables.counts, tables.sums.reshape(-1, 1, 2)], axis=1)
        places = np.arange(features)
        places[own] = features + np.arange(len(own))
        return (mpc.concatenate([counts, pooled]).take(places, axis=0),
                mpc.concatenate([closed, tables.closed]).take(places, axis=0))

    def tables_of(self, features: list[str]) -> SuppressedTables:
        """The tables of some features of which they will open."""
        parts = [self.tables[name] for name in features]
        counts, closed, sums = (self.mpc.concatenate([getattr(p, key) for p in parts])
                                for key in ('counts', 'closed', 'sums'))
        return SuppressedTables(counts, closed, sums, self.parameters.table_minimum)

    async def _merge(self):
        """Merge the pre-bins of all features by the label, and keep the edges of the own ones."""
        mpc = self.mpc
        found = await settled(self.checkpoints, mpc, 'bins', self._boundaries)
        boundaries = found['boundaries']
        for party, name in enumerate(self.parties):
            places = np.flatnonzero(np.array(self.owners) == party)
            if not len(places):
                continue
            opened = await open_boundaries(mpc, boundaries.take(places, axis=0), party)
            if mpc.pid == party:
                for column, bits in zip(self.inputs[name], opened, strict=True):
                    edges = np.array(self._breaks(party, column))
                    self.breaks[column] = kept_breaks(edges, bits).tolist()

    async def _boundaries(self):
        """Which edges of the pre-bins stay, shared."""
        mpc, rules, training = self.mpc, self.rules, self.classes[:self.train]
        plan, tables = packing(self.train, rules.first_bins), []
        for party, block in self._blocks(plan.words):
            index, words = self._index(party, block, rules.first), None
            if index is not None:
                words = packed_words(index, plan)
            joined = self._joined.columns(party, words, len(block) * plan.words)
            tables.append(counts_of_words(mpc, joined[:self.train], training, rules.first_bins))
            if len(tables) > 1:
                await tables[-2].ready()
        counts = mpc.concatenate(tables)[:, :rules.first]
        return {'boundaries': await merged_boundaries(mpc, counts, rules)}

    def _blocks(self, columns: int) -> Iterator[tuple[int, list[str]]]:
        """(party, names) of features of which so many columns each are shared at a time."""
        rows = max(sum(self.slots), *self.rows)
        width = block_width(rows, columns, self.parameters.memory)
        for party, name in enumerate(self.parties):
            for start in range(0, len(self.inputs[name]), width):
                yield party, self.inputs[name][start:start + width]

    def _index(self, party, block, ordinary):
        """Bins (rows, features) of a block at its owner, of so many ordinary ones; else None."""
        if self.mpc.pid != party:
            return None
        found = []
        for column in block:
            edges = self._breaks(party, column)
            found.append(bins_of(self.rules, self.table.columns[column], edges, ordinary))
        return np.stack(found, axis=1)

    def _breaks(self, party, column):
        """Inner edges of an own feature's bins, or of its pre-bins until they are merged."""
        if column not in self.breaks:
            feature, values = f'{self.parties[party]}.{column}', self.table.columns[column]
            self.breaks[column] = first_breaks(self.rules, feature, values).tolist()
        return self.breaks[column]

    def _indicators(self, party, block):
        index = self._index(party, block, self.rules.max_bins)
        if index is None:
            return None
        return np.concatenate([one_hot(column, self.rules.bins) for column in index.T], axis=1)

    def _shown(self, party, indicators, features):
        """Indicators of the example rows; who is unknown to a partner has no values there."""
        places = np.arange(self.train, self.train + min(self.parameters.examples, self.slots[1]))
        shown = indicators.take(places, axis=0)
        if party == 0:
            return shown
        absent = 1 - self._joined.presence(party).take(places, axis=0)
        missing = np.zeros((1, features * self.rules.bins), np.int64)
        missing[0, self.rules.missing::self.rules.bins] = 1
        return shown + absent * missing
