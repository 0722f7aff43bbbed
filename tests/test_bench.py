"""`sepc bench`: real parties, the documented fields, and figures that agree with the formulas."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from rich.console import Console

from bench.harness import BenchError, run_suite
from bench.tables import table_of
from engine import costs

FIELDS = {'name', 'n', 'seconds', 'cpu_seconds_per_party', 'bytes_per_party', 'rounds',
          'multiplications', 'peak_rss_mb', 'parties', 'threshold', 'transport', 'verified',
          'seconds_plain', 'cpu_seconds_per_party_plain'}


@pytest.mark.parametrize('m, t', [(3, 1), (4, 1)])
def test_products_cost_what_they_should(m, t):
    document = run_suite('engine', parties=m, threshold=t, names=['multiply_fixed', 'less_than'],
                         sizes=['100000'], deadline=200)
    results = {r['name']: r for r in document['results']}
    assert set(results) == {'multiply_fixed', 'less_than'}
    for name, cost in (('multiply_fixed', costs.product), ('less_than', costs.less_than)):
        assert set(results[name]) == FIELDS
        rounds, total = cost(100_000, m, t)
        assert results[name]['rounds'] == rounds
        assert results[name]['bytes_per_party'] == round(total / m)
        assert results[name]['transport'] == 'tls' and results[name]['seconds_plain'] > 0
        assert results[name]['seconds'] > 0 and results[name]['peak_rss_mb'] > 10


def test_the_command_prints_one_document():
    done = subprocess.run([sys.executable, '-m', 'parties.cli', 'bench', '--json', '-M', '3',
                           '--names', 'startup,input', '--sizes', '100000'],
                          capture_output=True, text=True, timeout=200, check=True)
    document = json.loads(done.stdout)
    assert [r['name'] for r in document['results']] == ['startup', 'input']
    assert document['machine']['calibration_seconds'] > 0
    assert 'SSL' in document['machine']['tls']


@pytest.mark.parametrize('main, transport', [('plain', 'plain'), ('verified', 'tls')])
def test_other_kinds_of_runtime_are_measured_on_request(main, transport):
    document = run_suite('engine', names=['multiply_fixed'], sizes=['100000'], main=main,
                         deadline=200)
    result, = document['results']
    assert (result['transport'], result['verified']) == (transport, main == 'verified')
    assert 'seconds_plain' not in result


def test_an_unknown_suite_is_named():
    with pytest.raises(BenchError, match="no suite 'nothing', expected one of engine"):
        run_suite('nothing')


def test_a_run_that_fails_keeps_what_was_measured(tmp_path, monkeypatch):
    (tmp_path / 'sitecustomize.py').write_text(textwrap.dedent("""
        import numpy as np

        import bench.engine_suite as engine
        from bench.suite import Benchmark

        async def broken(mpc, x):
            for one in mpc.input(mpc.array(np.zeros(1))):
                await mpc.output(one)  # all parties are here
            raise ValueError('broken on purpose')

        whole = engine.suite
        engine.suite = lambda: [whole()[0], Benchmark('broken', 1, lambda mpc: None, broken)]
    """))
    root = Path(__file__).resolve().parents[1]
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}{os.pathsep}{root}')
    with pytest.raises(BenchError, match='failed') as caught:
        run_suite('engine', deadline=200)
    assert [r['name'] for r in caught.value.results] == ['startup', 'input']


def test_no_number_is_cut_in_eighty_columns():
    rows = [['matvec_transposed', '1000x1000x1000', '1234.567', '0.0001', '0.1234', '0.5000',
             '1023.5', '12345', '26758'], ['sort', '10', *['1.000'] * 7]]
    table = table_of(['name', 'n'], ['seconds', 'plain', 'verified', 'CPU s /party', 'MB /party',
                                     'rounds', 'peak MB'])
    for row in rows:
        table.add_row(*row)
    with open(os.devnull, 'w') as nowhere:
        console = Console(width=80, file=nowhere, record=True)
        console.print(table)
    shown = console.export_text()
    assert all(number in shown for row in rows for number in row[2:])
    assert '…' not in shown and max(map(len, shown.splitlines())) <= 80
