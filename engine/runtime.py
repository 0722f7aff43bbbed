"""The runtime: MPyC's, with its own connections, numbered operations and secure arrays.

`Runtime` subclasses MPyC's `Runtime`, so MPyC's scalar types keep working on it; what touches bytes
from peers is replaced. Programs get one from `engine.mpc` (command line), `engine.connect` (a job)
or `engine.cluster` (tests).
"""

import asyncio
import concurrent.futures
import functools
import inspect
import json
import logging
import os
import pathlib
import time

import numpy as np

from engine import frames, mpyc_private, mpyc_public, mpyc_sharing
from engine._mpyc import asyncoro, make_options, mpyc_runtime
from engine.additive import AdditiveOperations
from engine.arithmetic import ArrayOperations
from engine.array import SecureArray, constant
from engine.compare import CompareOperations
from engine.credentials import Credentials
from engine.decompose import BitOperations
from engine.errors import LocalProtocolError
from engine.functions import ArrayFunctions
from engine.handshake import Session
from engine.issuing import Issuing
from engine.kept_order import KeptOrders
from engine.linear_algebra import LinearAlgebra
from engine.memory import keep_freed, keep_objects
from engine.meter import Meter
from engine.mpyc_arrays import MpycArrays
from engine.mpyc_bits import MpycBits
from engine.mpyc_checked import MpycChecked
from engine.mpyc_scalars import MpycScalars
from engine.numeric import NumericOperations
from engine.prss import Randomness, derive
from engine.public_values import PublicValues
from engine.ranges import RangeOperations, refuse_outside
from engine.rendezvous import connect_all, sharing_machine
from engine.shamir import Geometry
from engine.sharing import Sharing, parties_of, party_numbers
from engine.sorting import SortOperations
from engine.threads import divide_cores
from engine.throttle import Throttle
from engine.verified import agree_on_keys


class Runtime(MpycScalars, Issuing, Sharing,  # type: ignore[misc]  # see `_for_both`
              ArrayOperations, ArrayFunctions, CompareOperations, BitOperations,
              NumericOperations, LinearAlgebra, AdditiveOperations, SortOperations, KeptOrders,
              RangeOperations, PublicValues, MpycBits, MpycArrays, MpycChecked,
              mpyc_runtime.Runtime):
    """One party's view of a running computation.

    Attributes: `pid`, `geometry` (constants of m and t), `meter` (costs), `randomness` (keys).
    """

    def __init__(self, pid: int, geometry: Geometry, options=None, *, session: bytes = bytes(32),
                 frac: int = 20, idle_deadline: float = 120.0):
        self.geometry, self.session, self.frac = geometry, session, frac
        self.idle_deadline = idle_deadline
        self.meter = Meter()
        self.randomness: Randomness
        self.suspects: dict[int, str] = {}
        self._unfinished: dict[asyncio.Future, asyncio.Task | None] = {}
        self.throttle = Throttle()
        options = options or make_options(geometry.t)
        super().__init__(pid, [mpyc_runtime.Party(i) for i in range(geometry.m)], options)
        self._begin_session()
        self._loop.set_exception_handler(None)

    # --- set-up and end ---

    def _begin_session(self):
        self.worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix='kernel')
        self._begin_messaging()

    def adopt(self, links: dict, set_keys, pair_keys, own_key: bytes) -> None:
        """Start on established links with agreed keys."""
        self.randomness = Randomness(self.pid, set_keys, pair_keys, own_key)
        self._prss_keys = {self.geometry.sets[k]: derive(key, b'mpyc', length=16)
                           for k, key in set_keys.items()}
        self.prfs.cache_clear()
        self._links = links
        self.start_time = time.time()
        self.watch_peers()
        for link in links.values():
            link.attach(self)

    async def start(self) -> None:
        """Connect with the other parties as the command line says (MPyC's idiom).

        After `shutdown` once more, with connections and keys of its own: what was computed before
        stays, and no randomness is drawn again. Raises LocalProtocolError `ended` where somebody
        else made the connections that `shutdown` has closed.
        """
        if hasattr(self, 'randomness') and not self._closing:
            return
        self.check()
        options = self.options
        if self._closing:
            if not hasattr(options, 'addresses'):
                raise LocalProtocolError('ended', 'the connections of this run are closed',
                                         party=self.pid, remedy='start another run')
            self._begin_session()
            del self.randomness  # nothing is drawn from it again, and connecting may fail
        await self.open(Session(self.pid, self.geometry, self.session, options.program),
                        options.addresses, options.connect_deadline, options.credentials,
                        everywhere=options.everywhere, job_deadline=options.job_deadline,
                        watch=options.watch)
        if options.connected is not None:
            options.connected()
        logging.info('All %d parties connected %s', self.geometry.m,
                     'without TLS' if options.credentials is None else 'via TLS')

    async def open(self, session: Session, addresses, deadline: float,
                   credentials: Credentials | None = None, *, everywhere: bool = False,
                   job_deadline: float | None = None, watch=None) -> None:
        """Connect with the other parties and agree on keys; the job's deadline begins now."""
        divide_cores(sharing_machine(addresses, session.pid))
        keep_freed()
        keep_objects()
        links = await connect_all(session, addresses, deadline, credentials, everywhere, watch)
        self.adopt(links, session.set_keys, session.pair_keys, os.urandom(32))
        if job_deadline is not None:
            self.end_after(job_deadline)
        if self.geometry.verified:
            await agree_on_keys(self)

    async def shutdown(self) -> None:
        """Wait for all parties to finish, then close the connections."""
        while self._unfinished or self._pc_level > self._program_counter[1]:
            if self._unfinished:
                await asyncio.wait(set(self._unfinished), timeout=self.idle_deadline)
            else:
                await asyncio.sleep(0)  # MPyC's coroutines are counted only
            self.check()
        self.check()
        for link in self._links.values():
            link.send(frames.BYE, 0, 0, 0, b'')
        self._closing = True
        await self.all_finished()
        self.close()
        await self.flushed()
        if self.profile is not None:
            self._write_profile()
        logging.info('Stop MPC: %.3f s, %d bytes sent, %d rounds', time.time() - self.start_time,
                     self.meter.total.bytes_sent, self.meter.depth)

    async def __aexit__(self, exc_type, exc, tb):
        """Orderly end, or, after an error, tell the others and close; who is alone goes on."""
        if exc is None:
            await self.shutdown()
        elif not self.at_once:
            self.failed(exc)

    check_inputs: int | None = None
    """Bits of every number that is put in, for inputs that state no bound; None states none."""

    checking = False
    """Checking mode, for tests only: every truncated product is opened to all parties first, and
    one that is out of range raises EngineError `overflow`. It reveals everything."""

    profile: pathlib.Path | None = None
    """Where to write the costs per call path at the end (see `bench.profile`)."""

    def _write_profile(self):
        paths = [{'path': list(path), **cost.as_dict()} for path, cost in self.meter.paths.items()]
        document = {'pid': self.pid, 'm': self.geometry.m, 't': self.geometry.t,
                    'rounds': self.meter.depth, 'seconds': time.time() - self.start_time,
                    'total': self.meter.total.as_dict(), 'paths': paths}
        (self.profile / f'party_{self.pid}.json').write_text(json.dumps(document))

    # --- both kinds of values ---

    def input(self, x, senders=None, bits: int | None = None):
        """Share private values: a SecureArray as `mpc.array(values)` holds them, or MPyC's types.

        Returns one array per sender (one array if `senders` is a single party number). With `bits`
        a sender refuses values of its own that are not at least -2^bits and below 2^bits units
        (OverflowError), and in verified mode all parties prove it before anything uses the array
        (`engine.ranges`); `check_inputs` is the bound of those that are given none. Raises
        ValueError for senders that are no parties.
        """
        if not isinstance(x, SecureArray):
            if bits is not None:
                raise TypeError('input: bits bound a secure array of the engine; for types of '
                                'MPyC\'s state check_inputs for the whole program')
            return super().input(x, parties_of(senders, self.geometry.m, 'senders'))
        owners = party_numbers(senders, self.geometry.m, 'senders')
        bits = self.check_inputs if bits is None else bits
        if bits is not None and self.pid in owners:
            refuse_outside(x.share, bits)
        arrays = [self.deal(x.share, owner, x.shape, x.frac) for owner in owners]
        if bits is not None and self.geometry.verified:
            arrays = [self.proven(a, bits) for a in arrays]
        return arrays[0] if isinstance(senders, int | np.integer) else arrays

    def output(self, x, receivers=None, threshold=None, raw=False):
        """Open to the receivers (default: all parties); awaitable, None at the others.

        A SecureArray opens as float64 (fixed point) or int64 (integers); with raw=True as Python
        integers. A list of SecureArrays opens as a list, in the same round. Raises TypeError for
        coroutines, as some operations return: await them first; ValueError for receivers that are
        no parties, unless this party is alone.
        """
        for item in x if isinstance(x, list) else [x]:
            if inspect.iscoroutine(item):
                item.close()
                raise TypeError(f'output: {item.__qualname__} is a coroutine, expected its result; '
                                'await it')
        receivers = parties_of(receivers, self.geometry.m, 'receivers')
        if isinstance(x, SecureArray):
            return self.open_array(x, receivers, raw)
        if isinstance(x, list) and x and isinstance(x[0], SecureArray):
            return self._open_list(x, receivers, raw)
        return super().output(x, receivers, threshold, raw)

    async def _open_list(self, arrays, receivers, raw):
        pending = [self.open_array(x, receivers, raw) for x in arrays]
        return [await p for p in pending]

    def gather(self, *obj):
        """MPyC's gather; a single SecureArray gives its share."""
        if len(obj) == 1 and isinstance(obj[0], SecureArray):
            return obj[0].ready()
        return asyncoro.gather_shares(self, *obj)

    def array(self, values, frac: int | None = None) -> SecureArray:
        """A SecureArray that holds public (or, before `input`, private) values.

        Integers and booleans become integers (frac = 0), floats fixed point.
        """
        return constant(self, values, frac)


def _for_both(name):
    """Our function for secure arrays, MPyC's of the same name for its own types."""
    ours = getattr(Runtime, name)
    theirs = next(vars(c)[name] for c in (MpycBits, MpycArrays, MpycChecked, mpyc_runtime.Runtime)
                  if name in vars(c))

    @functools.wraps(ours)
    def function(self, x, *args, **kwargs):
        mine = isinstance(x, (SecureArray, int, tuple) if name == 'random_bits' else SecureArray)
        return (ours if mine else theirs)(self, x, *args, **kwargs)
    return function


SHARED_NAMES = ('abs', 'all', 'any', 'argmax', 'argmin', 'from_bits', 'max', 'min', 'prod',
                'random_bits', 'reciprocal', 'to_bits')
for _name in SHARED_NAMES:
    setattr(Runtime, _name, _for_both(_name))

mpyc_private.replace_functions()
mpyc_public.replace_constructors()
mpyc_sharing.replace_functions()
