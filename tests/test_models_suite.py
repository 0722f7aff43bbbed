"""`sepc bench --suite models` at its smallest sizes: every result is checked by the benchmark."""

from __future__ import annotations

from bench import models_suite
from bench.harness import run_suite

D = 20


def test_one_applicant_costs_three_rounds_between_real_parties():
    [result] = run_suite('models', names=['score_one'], sizes=[f'1x{D}'],
                         beside=())['results']
    assert result['rounds'] == 3
    # Indicators, one product, and the score opened to one party.
    assert result['bytes_per_party'] == round((32 * D * 11 + 96 + 16) / 4)


def test_every_benchmark_has_a_check_and_the_documented_names():
    benchmarks = models_suite.suite()
    assert all(b.check is not None for b in benchmarks)
    assert {'woe_iv', 'logistic_pass', 'logistic', 'evaluate', 'score_one'} <= {
        b.name for b in benchmarks}
    assert '1000000x221' in {b.n for b in benchmarks}
