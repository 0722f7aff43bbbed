"""MPyC, imported without its side effects.

Importing `mpyc.runtime` parses the command line, starts the other local parties for ``-M`` and sets
up a process-wide runtime. The engine does these things itself and later, so the import happens
under the one switch with which MPyC lets itself be imported quietly.
"""

import argparse
import os

_before = os.environ.get('READTHEDOCS')
os.environ['READTHEDOCS'] = 'True'
try:
    import mpyc
    import mpyc.mpctools
    import mpyc.random
    import mpyc.runtime as mpyc_runtime
    import mpyc.secgroups
    import mpyc.seclists
    import mpyc.secpols
    import mpyc.statistics
    from mpyc import asyncoro, sectypes
finally:
    if _before is None:
        del os.environ['READTHEDOCS']
    else:
        os.environ['READTHEDOCS'] = _before
os.environ.setdefault('MPYC_MAXWORKERS', '0')

__all__ = ['argument_parser', 'asyncoro', 'install', 'make_options', 'mpyc_runtime', 'sectypes']


def argument_parser() -> argparse.ArgumentParser:
    """MPyC's parser of its upper-case command-line options."""
    return mpyc._get_arg_parser()


def make_options(threshold: int, options: argparse.Namespace | None = None) -> argparse.Namespace:
    """MPyC's options with those values that the engine relies on.

    `mix32_64bit` selects MPyC's portable byte format for arrays instead of pickles.
    """
    if options is None:
        options = argument_parser().parse_args([])
    options.threshold = threshold
    options.no_prss = False
    options.no_async = False
    options.mix32_64bit = True
    return options


def install(runtime) -> None:
    """Make `runtime` the process-wide runtime that MPyC's scalar types refer to."""
    for module in (sectypes, asyncoro, mpyc.mpctools, mpyc.seclists, mpyc.secpols,
                   mpyc.secgroups, mpyc.random, mpyc.statistics):
        module.runtime = runtime
