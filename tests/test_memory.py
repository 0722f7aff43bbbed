"""Freed memory stays with the process, so that the next arrays need no new pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
import numpy as np
from engine.memory import keep_freed
if {keep}:
    keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def arrays():
    made = [np.ones(200_000) for _ in range(8)]
arrays()
before = faults()
for _ in range(10):
    arrays()
print(faults() - before)
"""


def page_faults(keep: bool) -> int:
    run = subprocess.run([sys.executable, "-c", COUNT.format(keep=keep)], check=True,
                         capture_output=True, text=True, timeout=60)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
def test_arrays_that_come_and_go_touch_the_same_pages():
    assert page_faults(keep=True) < page_faults(keep=False) / 10
