"""Kernels compile once: what parties run afterwards finds its machine code in the cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.profile import profile_program

PROGRAM = Path(__file__).parent / 'programs' / 'all_kernels.py'


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """An empty cache, and the kernels compiled into it."""
    folder = tmp_path_factory.mktemp('kernels')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('NUMBA_CACHE_DIR', str(folder))
        patch.setenv('PYTHONPATH', str(Path(__file__).resolve().parents[1]))
        subprocess.run([sys.executable, '-c', 'from engine.warm import compile_all; compile_all()'],
                       check=True, timeout=600)
        yield folder


def kernels(folder: Path) -> set[str]:
    """Names of the compiled kernels, one per types of arguments."""
    return {path.name for path in folder.rglob('*.nbc')}


@pytest.mark.parametrize('options', [[], ['--verified']], ids=['default', 'verified'])
def test_parties_compile_nothing(cache, options):
    before = kernels(cache)
    assert len(before) > 20
    profile_program(str(PROGRAM), options)
    assert kernels(cache) == before
