"""A node whose worker runs the fake program."""

import sys
from pathlib import Path

from fakes.program import PROGRAMS
from parties import node_process

if __name__ == "__main__":
    worker = (sys.executable, str(Path(__file__).with_name("worker.py")))
    sys.exit(node_process.main(worker=worker, programs=PROGRAMS))
