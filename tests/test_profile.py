"""The profiler: predictions equal measurements, and the projection holds on a shaped network."""

from pathlib import Path

import pytest

from bench.harness import BenchError
from bench.netem import NetemUnavailable, shaped
from bench.profile import Network, profile_program, project

PROGRAM = str(Path(__file__).parent / 'programs' / 'rounds.py')


def test_profile_predicts_what_it_measures():
    document = profile_program(PROGRAM, parties=4)
    assert document['rounds'] == 52
    products = [r for r in document['operations'] if r['path'] == ['multiply']]
    assert products[0]['calls'] == 50
    assert products[0]['multiplications'] == 50 * 2000
    for row in document['operations']:
        if row['predicted_rounds']:
            assert row['rounds'] == row['predicted_rounds'], row['path']
            assert row['total_bytes'] == row['predicted_total_bytes'], row['path']


def test_profile_names_a_missing_program():
    with pytest.raises(BenchError, match='no program'):
        profile_program('nowhere.py')


@pytest.mark.parametrize('kind', ['netem', 'tun'])
def test_projection_agrees_with_a_shaped_network(kind):
    # Delays dominate by far, so the comparison does not depend on how busy the machine is.
    network = Network('far', 200e6, 0.15)
    local = profile_program(PROGRAM, parties=3)
    try:
        with shaped(network, 3, kinds=(kind,)) as (prefix, hosts):
            real = profile_program(PROGRAM, parties=3, prefix=prefix,
                                   addresses=[f'{h}:7077' for h in hosts])
    except NetemUnavailable as missing:
        pytest.skip(f'network emulation is not permitted here: {missing}')
    assert real['rounds'] == local['rounds']
    assert 0.75 < real['seconds'] / project(local, network) < 1.35
