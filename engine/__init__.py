"""The MPC engine: fields, shares, randomness, connections, secure arrays.

`from engine import mpc` gives the runtime of a program run from the command line, set up on first
use; jobs use `engine.runtime.connect`, tests `engine.cluster`.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == 'mpc':
        from engine.program import setup
        globals()['mpc'] = setup()
        return globals()['mpc']
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
