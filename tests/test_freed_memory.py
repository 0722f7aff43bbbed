"""Freed memory stays with the process, so that the next arrays need no new pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import concurrent.futures
import resource
import numpy as np
from engine.memory import keep_freed
if {keep}:
    keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def arrays():
    made = [np.ones({size}) for _ in range(8)]
def main():
    arrays()
    before = faults()
    for _ in range(10):
        arrays()
    print(faults() - before)
with concurrent.futures.ThreadPoolExecutor(1) as pool:
    pool.submit(main).result() if {thread} else main()
"""


def page_faults(**choices) -> int:
    run = subprocess.run([sys.executable, "-c", COUNT.format(**choices)], check=True,
                         capture_output=True, text=True, timeout=60)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
@pytest.mark.parametrize("size, thread", [(200_000, False), (3_000_000, True)])
def test_arrays_that_come_and_go_touch_the_same_pages(size, thread):
    kept = page_faults(keep=True, size=size, thread=thread)
    assert kept < page_faults(keep=False, size=size, thread=thread) / 10


def test_the_collector_leaves_the_libraries_objects_alone():
    program = ("import gc\nimport engine.runtime\nfrom engine.memory import keep_objects\n"
               "before = gc.get_freeze_count()\n"
               "keep_objects()\nkept = gc.get_freeze_count()\nx = [[] for _ in range(1000)]\n"
               "keep_objects()\nprint(before, kept > 10_000, gc.get_freeze_count() == kept)")
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                         text=True, timeout=60)
    assert run.stdout.split() == ["0", "True", "True"]
