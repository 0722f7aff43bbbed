"""MPyC, imported without its side effects, and with errors that arrive.

Importing `mpyc.runtime` parses the command line, starts the other local parties for ``-M`` and sets
up a process-wide runtime. The engine does these things itself and later, so the import happens
under the one switch with which MPyC lets itself be imported quietly.

MPyC stops the event loop when a coroutine of its fails, and waits for ever for shares that a failed
one was to deliver. `install` replaces the three places where results are passed on, so that an
error is passed on as well, to whatever awaits the result.
"""

import argparse
import asyncio
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
    asyncoro.SecureObject.set_share = _set_share
    asyncoro._SharesTallier = _SharesTallier
    asyncoro._reconcile = _reconcile


def _fail(future, error) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever awaits it sees it; if nobody does, that is no event


def _set_share(self, value) -> None:
    """SecureObject.set_share that passes errors on."""
    if not isinstance(value, asyncio.Future):
        self.share.set_result(value)
    elif not value.done():
        value.add_done_callback(lambda done: _set_share(self, done))
    elif value.exception() is not None:
        _fail(self.share, value.exception())
    else:
        self.share.set_result(value.result())


class _SharesTallier(asyncoro._SharesTallier):
    """Gathers shares, or the first error among them."""

    def _decrement(self, done):
        if done.exception() is not None:
            _fail(self, done.exception())
        elif not self.done():
            super()._decrement(done)


def _reconcile(declared, task) -> None:
    """Fill the placeholders of a coroutine with its result, or with its error."""
    runtime = asyncoro.runtime
    if task.cancelled() or task.exception() is not None:
        runtime._pc_level -= 1
        error = runtime.failed(None if task.cancelled() else task.exception())
        _fail_all(declared, error)
    else:
        _passed_on(declared, task)


_passed_on = asyncoro._reconcile


def _fail_all(declared, error) -> None:
    if isinstance(declared, list):
        for item in declared:
            _fail_all(item, error)
    elif isinstance(declared, asyncoro.SecureObject):
        _fail_all(list(declared.share) if isinstance(declared.share, tuple) else declared.share,
                  error)
    elif isinstance(declared, asyncio.Future):
        _fail(declared, error)
