"""MPyC, imported without its side effects, and with errors that arrive.

Importing `mpyc.runtime` parses the command line, starts the other local parties for ``-M`` and sets
up a process-wide runtime. The engine does these things itself and later, so the import happens
under the one switch with which MPyC lets itself be imported quietly. After that, `mpyc.runtime.mpc`
is the engine's. Where somebody imported `mpyc.runtime` before the engine, MPyC has done all this
already: its arguments are put back for the engine, which takes over its runtime in `install`.

MPyC stops the event loop when a coroutine of its fails, and waits for ever for shares that a failed
one was to deliver. `install` replaces the three places where results are passed on, so that an
error is passed on as well, to whatever awaits the result.
"""

import argparse
import asyncio
import functools
import os
import sys

_before = os.environ.get('READTHEDOCS')
os.environ['READTHEDOCS'] = 'True'
try:
    import mpyc
    import mpyc.random
    import mpyc.runtime as mpyc_runtime
    import mpyc.seclists
    import mpyc.secpols
    import mpyc.statistics
    from mpyc import (
        asyncoro,
        finfields,
        fingroups,
        gfpx,
        gmpy,
        mpctools,
        secgroups,
        sectypes,
        thresha,
    )
finally:
    if _before is None:
        del os.environ['READTHEDOCS']
    else:
        os.environ['READTHEDOCS'] = _before
os.environ.setdefault('MPYC_MAXWORKERS', '0')

__all__ = ['argument_parser', 'asyncoro', 'finfields', 'fingroups', 'gfpx', 'gmpy', 'install',
           'make_options', 'mpctools', 'mpyc_runtime', 'secgroups', 'sectypes']


def argument_parser() -> argparse.ArgumentParser:
    """MPyC's parser of its upper-case command-line options."""
    return mpyc._get_arg_parser()


@functools.cache
def _defaults() -> dict:
    """The options of an empty command line; the parser takes longer to make than a runtime."""
    return vars(argument_parser().parse_args([]))


def make_options(threshold: int, options: argparse.Namespace | None = None) -> argparse.Namespace:
    """MPyC's options with those values that the engine relies on.

    `mix32_64bit` selects MPyC's portable byte format for arrays instead of pickles.
    """
    if options is None:
        options = argparse.Namespace(**_defaults())
    options.threshold = threshold
    options.no_prss = False
    options.no_async = False
    options.mix32_64bit = True
    return options


def install(runtime) -> None:
    """Make `runtime` the process-wide runtime that MPyC's scalar types refer to.

    A runtime that MPyC made before the engine was imported becomes another name of it. A single
    party can compute from here on, as in MPyC; several need `start`.
    """
    for module in (sectypes, asyncoro, mpctools, mpyc.seclists, mpyc.secpols,
                   secgroups, mpyc.random, mpyc.statistics):
        module.runtime = runtime
    asyncoro.SecureObject.set_share = _set_share
    asyncoro._SharesTallier = _SharesTallier
    asyncoro._reconcile = _reconcile
    earlier = _made_by_mpyc()
    if earlier is not None:
        earlier.__class__ = type(runtime)
        earlier.__dict__ = runtime.__dict__
    mpyc_runtime.mpc = runtime
    if runtime.geometry.m == 1 and not hasattr(runtime, 'randomness'):
        runtime.adopt({}, {0: os.urandom(32)}, {}, os.urandom(32))


def _made_by_mpyc():
    """The runtime of an import of `mpyc.runtime` before the engine's, if there was one."""
    earlier = vars(mpyc_runtime).get('mpc')
    return earlier if type(earlier) is mpyc_runtime.Runtime else None


def _restore_arguments(earlier) -> None:
    """Put the options that MPyC took from the command line back for the engine.

    MPyC has started the other local parties, so each of them gets its own index.
    """
    options = vars(earlier.options).copy()
    if options['M']:
        options['index'] = earlier.pid
    given: list[str] = []
    for action in argument_parser()._actions:
        value = options.get(action.dest)
        if not action.option_strings or value == action.default or action.dest in (
                'no_async', 'f', 'help', 'HELP', 'VERSION'):
            continue
        for item in value if isinstance(value, list) else [value]:
            given += action.option_strings[:1] if item is True else \
                [action.option_strings[0], str(item)]
    sys.argv[1:1] = given


def _polynomials(cls, data) -> list:
    """MPyC's portable format gives integers where arrays over extension fields need polynomials."""
    return [type(cls.modulus)(number) for number in _integers(cls, data)]


_integers = finfields.FiniteFieldElement.from_bytes.__func__
finfields.ExtensionFieldElement.from_bytes = classmethod(_polynomials)


def _recombine(field, points, x_rs=0):
    """MPyC's portable format would fail on an empty array."""
    if not len(points[0][1]):
        return [[] for _ in x_rs] if isinstance(x_rs, list) else []
    return _recombine_some(field, points, x_rs)


_recombine_some = thresha.recombine
thresha.recombine = _recombine


def _later(name):
    """`from mpyc.runtime import mpc` after the engine's import: the engine's runtime."""
    if name != 'mpc':
        raise AttributeError(f'module {mpyc_runtime.__name__!r} has no attribute {name!r}')
    import engine
    return engine.mpc


if _made_by_mpyc() is not None:
    _restore_arguments(_made_by_mpyc())
mpyc_runtime.__getattr__ = _later


def _fail(future, error) -> None:
    if not future.done():
        # Without the way that it took to here, which grows with every coroutine that passes it on.
        future.set_exception(error.with_traceback(None))
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
