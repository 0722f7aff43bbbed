"""A bank whose node is in order and whose worker shares amounts that no loan can have."""

import sys
from pathlib import Path
from typing import Any

from parties import node_process, worker
from parties.stats import outside

if __name__ == "__main__":
    if "--home" in sys.argv:
        sys.exit(node_process.main(worker=(sys.executable, str(Path(__file__)))))
    honest = outside.matrices

    def extreme(*arguments: Any) -> dict[str, Any]:
        """The honest matrices, and one sum, or the amount of one payment, of 2^50."""
        found = honest(*arguments)
        part, column = ("cells", 1) if "cells" in found else ("payments", 3)
        found[part][0, column] = 1 << 50
        return found

    outside.matrices = extreme  # type: ignore[assignment]
    sys.exit(worker.main())
