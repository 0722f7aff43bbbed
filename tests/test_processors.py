"""Results do not depend on the processor: the kernels' tests, with less of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.lanes import FEATURES

LEFT_OUT = {"without IFMA": ("avx512ifma",), "without AVX-512": ("avx512",)}


@pytest.mark.parametrize("names", LEFT_OUT.values(), ids=LEFT_OUT)
def test_the_kernels_compute_the_same(names, tmp_path):
    if f"+{names[0]}" not in [feature[:1 + len(names[0])] for feature in FEATURES]:
        pytest.skip(f"this processor has no {names[0]}, so that all tests run without it")
    features = [f"-{feature[1:]}" if feature[1:].startswith(names) else feature
                for feature in FEATURES]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
         str(Path(__file__).with_name("test_field.py"))],
        env=os.environ | {"NUMBA_CPU_FEATURES": ",".join(features),
                          "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]
