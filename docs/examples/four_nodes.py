"""A broker and four nodes on this machine, until Ctrl-C: `python four_nodes.py FOLDER`."""

import asyncio
import contextlib
import sys
from pathlib import Path

from parties.demo.fleet import Fleet
from parties.demo.setup import make_homes, new_folder


async def main(folder: Path) -> None:
    run = make_homes(folder, {name: {} for name in ("bank", "fintech", "government", "telecom")})
    fleet = Fleet(run, lambda party, event: None)
    try:
        await fleet.start()
        for home in run.homes.values():
            print(f"--home {home}", flush=True)
        await asyncio.Event().wait()
    finally:
        await fleet.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(new_folder(Path(sys.argv[1]))))
