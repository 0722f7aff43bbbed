"""`sepc demo --json` with the fake program: `demo.py OUT [HOLD [CRASH [MEASUREMENT]]]`."""

import json
import sys
from functools import partial
from pathlib import Path

from fakes.program import plain
from parties.demo import Options, run_demo
from parties.demo.drive import Program
from parties.errors import PartiesError
from parties.proposal import credit_manifest

NODE = (sys.executable, str(Path(__file__).with_name("node.py")))


def manifest(hold, crash, measured, **fields):  # type: ignore[no-untyped-def]
    """A manifest of the fake program."""
    fields["measurement"] = measured or fields["measurement"]
    made = credit_manifest(program="fake-model", version="1", **fields)
    return made.model_copy(update={"parameters": {**made.parameters, "hold": hold, "crash": crash}})


if __name__ == "__main__":
    out, *rest = sys.argv[1:]
    made = partial(manifest, *(*rest, "", "", "")[:3])
    program = Program(node=NODE, manifest=made, plain=plain)
    try:
        document = run_demo(Options(businesses=300, out=Path(out), deadline=180), program)
    except PartiesError as exc:
        print(json.dumps({"error": exc.as_dict()}))
        sys.exit(1)
    print(json.dumps(document))
