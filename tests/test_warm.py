"""Kernels compile once: what parties run afterwards finds its machine code in the cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.profile import profile_program
from engine import kernel

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


def test_kernels_of_other_sources_are_dropped(tmp_path, monkeypatch):
    """One that inlines what has changed must not be taken, though its own file has not changed."""
    ours, foreign = (tmp_path / name for name in ('products._write-1.py311.nbi', 'x.f-1.py311.nbi'))

    def after(sources):
        for path in (ours, foreign):
            path.touch()
        monkeypatch.setattr(kernel, 'fingerprint', lambda: sources)
        kernel._drop_outdated.cache_clear()
        kernel._drop_outdated(tmp_path)
        return ours.exists(), foreign.exists()
    assert after('old') == (False, True)
    assert after('old') == (True, True)
    assert after('new') == (False, True)
    assert after('old') == (False, True)  # what 'new' has compiled
    kernel._drop_outdated.cache_clear()


def test_every_kernel_is_in_a_file_whose_changes_count():
    engine = Path(kernel.__file__).parent
    files = {path.name for path in engine.glob('*.py')
             if '\n@kernel\n' in path.read_text() or '\n@intrinsic\n' in path.read_text()}
    assert files <= set(kernel.SOURCES) and len(files) > 8
    assert all((engine / name).exists() for name in kernel.SOURCES)
