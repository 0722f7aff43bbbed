"""A node whose worker is killed before it stores shares, while the file `die` is in its home.

For it every day is the same, as in `same_day`.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fakes.same_day import stop_the_calendar
from parties import node_process, worker
from parties.list_work import keep_shares
from parties.manifest import Manifest
from parties.programs import PROGRAMS


def keep_or_die(folder: Path, manifest: Manifest, kept: Mapping[str, Any]) -> None:
    """Store shares, or end as if for lack of memory: all other parties have theirs by now."""
    if (folder.parents[1] / "die").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    keep_shares(folder, manifest, kept)


DYING = {
    name: replace(program, keep=program.keep and "fakes.dying:keep_or_die")
    for name, program in PROGRAMS.items()
}

if __name__ == "__main__":
    if "--supervised" in sys.argv:
        stop_the_calendar()
        sys.exit(node_process.main(worker=(sys.executable, "-m", "fakes.dying")))
    sys.exit(worker.main(programs=DYING))
