"""`sepc demo` with the fake program: `demo.py OUT [HOLD [CRASH]]`, JSON on standard output."""

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


def manifest(hold: str, crash: str, **fields):  # type: ignore[no-untyped-def]
    """A manifest of the fake program."""
    fields["parameters"] = {**fields["parameters"], "hold": hold, "crash": crash}
    return credit_manifest(program="fake-model", version="1", **fields)


if __name__ == "__main__":
    out, hold, crash = (*sys.argv[1:], "", "")[:3]
    program = Program(node=NODE, manifest=partial(manifest, hold, crash), plain=plain)
    try:
        document = run_demo(Options(businesses=300, out=Path(out), deadline=60), program)
    except PartiesError as exc:
        print(json.dumps({"error": exc.as_dict()}))
        sys.exit(1)
    print(json.dumps(document))
