"""A worker that runs the fake program."""

import sys

from fakes.program import PROGRAMS, connect
from parties import worker

if __name__ == "__main__":
    sys.exit(worker.main(programs=PROGRAMS, connect=connect))
