"""`sepc demo` with the real program and a recorded bus: `recorded.py DATA OUT`."""

import json
import sys
from pathlib import Path

from parties.demo import Options, run_demo
from parties.demo.drive import Program

BROKER = (sys.executable, str(Path(__file__).with_name("broker.py")))

if __name__ == "__main__":
    data, out = (Path(argument) for argument in sys.argv[1:3])
    # So few rows fill few bins.
    options = Options(data=data, out=out, deadline=200,
                      parameters={"max_bins": 3, "min_class_rows": 1})
    print(json.dumps(run_demo(options, Program(broker=BROKER))))
