"""A node whose worker is killed before it stores shares, while the file `die` is in its home, and
after all other parties have said that they hold theirs.

For it every day is the same, as in `same_day`.
"""

import contextlib
import os
import signal
import sqlite3
import sys
import time
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
    """Store shares, or end as if for lack of memory when all other parties have theirs."""
    home = folder.parents[1]
    if (home / "die").exists():
        with contextlib.closing(sqlite3.connect(home / "node.db")) as database:
            signed = "select count(*) from receipts where job_id = ?"
            while database.execute(signed, (manifest.job_id,)).fetchone()[0] < \
                    len(manifest.names) - 1:
                time.sleep(0.02)
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
