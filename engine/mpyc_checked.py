"""MPyC's own protocols in verified mode: what they send is sent in a form that is checked.

All protocols of MPyC's types, from the comparison of two `SecInt`s to `mpc.statistics`, exchange
shares by three methods of its runtime: `output`, `_reshare` after a product, and `_distribute` for
inputs. All randomness is from PRSS, whose keys the parties have compared. So these methods are
replaced in verified mode: over the engine's field by the engine's operations, over any other field
by those of `engine.checked_fields`. What MPyC opens of degree 2t is brought to degree t first,
under a fresh mask. `engine.mpyc_private` replaces the few functions of MPyC in which a party is
believed what it computes from its share.

An output opens once all parties have said that every check has passed so far. What MPyC's
comparisons, bits and truncations open on their way is masked and says nothing about any secret, so
nobody waits there, as in the engine's own operations (`masked_openings`).
"""

import contextlib
import contextvars
import functools
import math
from collections.abc import Callable

import numpy as np

from engine import checked_fields, field
from engine._mpyc import asyncoro, finfields, mpyc_runtime, sectypes
from engine.array import SecureArray
from engine.base import RuntimeBase
from engine.errors import LocalProtocolError
from engine.mpyc_field import FIELD, from_ints
from engine.ranges import refuse_outside

_NUMBERS = (sectypes.SecureInteger, sectypes.SecureFixedPoint, sectypes.SecureIntegerArray,
            sectypes.SecureFixedPointArray)

_MASKED = contextvars.ContextVar('masked', default=False)


@contextlib.contextmanager
def masked_openings():
    """What is opened inside, also later by coroutines that begin inside, says nothing about any
    secret, whatever it was computed from."""
    token = _MASKED.set(True)
    try:
        yield
    finally:
        # A coroutine that a failed run has given up ends in another context.
        with contextlib.suppress(ValueError):
            _MASKED.reset(token)


class MpycChecked(RuntimeBase, mpyc_runtime.Runtime):
    """What MPyC's runtime sends, checked (a mix-in of `engine.runtime.Runtime`).

    Costs are those of the operations `input`, `multiply` and `output`, or `field_input`,
    `field_multiply` and `field_output` over other fields.
    """

    open_array: Callable[..., asyncoro.Future]
    reduce_alone: Callable

    @property
    def _checks(self) -> bool:
        return self.geometry.verified and self.geometry.m > 1

    # --- inputs ---

    def _distribute(self, x, senders):
        if not self._checks or not x or hasattr(type(x[0]), '_input'):
            return super()._distribute(x, senders)
        return self._checked_input(x, senders)

    @asyncoro.mpc_coro
    async def _checked_input(self, x, senders):
        stype = type(x[0])
        if issubclass(stype, asyncoro.SecureObject):
            await self.returnType(_kind(x[0]), len(senders), len(x))
            if self.pid in senders:
                x = await self.gather(x)
        else:
            await self.returnType(asyncoro.Future)
        shape = getattr(x[0], 'shape', None)
        over = _field(stype)
        own = _values(x) if self.pid in senders else None
        n = len(x) * (1 if shape is None else math.prod(shape))
        if over is FIELD:
            shares = [await dealt.ready() for dealt in
                      [self._dealt(own, n, owner, stype) for owner in senders]]
            values = [list(map(int, field.to_ints(share))) for share in shares]
        else:
            self._refuse_unproven(stype)
            subfield = getattr(getattr(stype, 'sectype', stype), 'subfield', None)
            values = [await dealt for dealt in
                      [checked_fields.dealt(self, over, own if owner == self.pid else None, n,
                                            owner, subfield) for owner in senders]]
        return [_elements(over, each, shape, len(x)) for each in values]

    def _dealt(self, own, n, owner, stype) -> SecureArray:
        """The engine's input, with the proof of range that the job states."""
        limbs = _limbs(own) if self.pid == owner else None
        bits = self.check_inputs if issubclass(stype, _NUMBERS) else None
        if bits is not None and limbs is not None:
            refuse_outside(limbs, bits)
        shares = self.deal(limbs, owner, (n,), getattr(stype, 'frac_length', 0) or 0)
        return shares if bits is None else self.proven(shares, bits)

    def _refuse_unproven(self, stype):
        if self.check_inputs is not None and issubclass(stype, _NUMBERS):
            raise LocalProtocolError(
                'not-verifiable', f'the range of inputs of type {stype.__name__} cannot be proven: '
                'its numbers are not those of the engine\'s field',
                remedy='take SecInt(l) or SecFxp(l, f) with l + f of at most 96 bits, or run '
                'without --check-inputs')

    # --- products ---

    def _reshare(self, x):
        """Fresh shares of degree t of products of shares; one round."""
        if not self._checks or self.threshold == 0 or (isinstance(x, list) and not x):
            return super()._reshare(x)
        return self._checked_reshare(x)

    @asyncoro.mpc_coro
    async def _checked_reshare(self, x):
        many = isinstance(x, list)
        items = x if many else [x]
        if isinstance(items[0], asyncoro.SecureObject):
            kind = _kind(items[0])
            await self.returnType(*((kind, len(items)) if many else (kind,)))
            items = await self.gather(items)
        else:
            await self.returnType(asyncoro.Future)
        over, shape = _field(type(items[0])), getattr(items[0], 'shape', None)
        values = await self._reduced(over, _values(items))
        out = _elements(over, values, shape, len(items))
        return out if many else out[0]

    async def _reduced(self, over, values):
        if over is not FIELD:
            return await checked_fields.reduced(self, over, values)
        return field.to_ints(await self.reduce_alone(_limbs(values)))

    # --- outputs ---

    def output(self, x, receivers=None, threshold=None, raw=False):
        """Open as MPyC does; in verified mode to receivers that check.

        Products that open with their degree of 2t open under a fresh sharing of zero, also where
        MPyC has none: the roots of a product of polynomials are those of its factors.
        """
        if isinstance(x, list) and not x:
            return super().output(x, receivers, threshold, raw)
        if self._checks:
            return self._checked_output(x, receivers, threshold, raw, _MASKED.get())
        if threshold is not None and threshold > self.threshold:
            x = self._with_zero(x)
        return super().output(x, receivers, threshold, raw)

    def _with_zero(self, x):
        """Elements, or an array of them, each plus a share of a fresh sharing of zero."""
        items = x if isinstance(x, list) else [x]
        if isinstance(items[0], asyncoro.SecureObject):
            return x  # of degree t
        over, shape, values = _field(type(items[0])), getattr(items[0], 'shape', None), \
            _values(items)
        masked = [v + z.value for v, z in
                  zip(values, checked_fields.zero_shares(self, over, len(values)), strict=True)]
        out = _elements(over, [v % over.modulus for v in masked], shape, len(items))
        return out if isinstance(x, list) else out[0]

    @asyncoro.mpc_coro
    async def _checked_output(self, x, receivers, threshold, raw, masked) -> asyncoro.Future:
        many = isinstance(x, list)
        items = list(x) if many else [x]
        receivers = range(self.geometry.m) if receivers is None else \
            [receivers] if isinstance(receivers, int) else list(receivers)
        stype = type(items[0])
        if hasattr(stype, '_output'):
            found = await stype._output(items, receivers, threshold)
            return found if many else found[0]
        if isinstance(items[0], asyncoro.SecureObject):
            items = await self.gather(items)
        over, shape = _field(type(items[0])), getattr(items[0], 'shape', None)
        values = _values(items)
        if threshold is not None and threshold > self.threshold:
            values = await self._reduced(over, values)
        if over is FIELD:
            opened = await self.open_array(SecureArray(self, (len(values),), 0, _limbs(values)),
                                           receivers, raw=True, masked=masked)
        else:
            opened = await checked_fields.opened(self, over, values, receivers, masked)
        if opened is None:
            out = [None] * len(items)
        else:
            out = _elements(over, [v % over.modulus for v in opened], shape, len(items))
            convert = getattr(stype, '_output_conversion', None)
            if not raw and convert is not None:
                out = [convert(a) for a in out]
        return out if many else out[0]


def _with_masked_openings(name):
    method = getattr(mpyc_runtime.Runtime, name)

    @functools.wraps(method)
    def wrapped(self, *args, **kwargs):
        with masked_openings():
            return method(self, *args, **kwargs)
    return wrapped


# Of what MPyC's runtime opens, the results of `is_zero_public` and `eq_public` are meant to be
# known, and `reciprocal` and `np_det` show whether the number is zero: those are outputs.
for _name in ('_convert', 'trunc', 'np_trunc', '_is_zero', '_np_is_zero', 'sgn', 'np_sgn', 'lsb',
              'np_lsb', '_mod', 'trailing_zeros', 'random_bits', 'np_random_bits', 'to_bits',
              'np_to_bits', 'np_unit_vector'):
    setattr(MpycChecked, _name, _with_masked_openings(_name))


def _field(stype):
    """The field of a secure type, of an array of elements, or of elements: itself."""
    if issubclass(stype, finfields.FiniteFieldElement):
        return stype
    return getattr(stype, 'sectype', stype).field


def _kind(x):
    """MPyC's return type for a secure number or array like this one."""
    more = ([x.integral] if x.frac_length else []) + ([x.shape] if hasattr(x, 'shape') else [])
    return (type(x), *more) if more else type(x)


def _values(items) -> list:
    """Integers or polynomials of field elements, or of arrays of them one after the other."""
    if isinstance(items[0], finfields.FiniteFieldElement):
        return [a.value for a in items]
    return [value for a in items for value in a.value.reshape(-1).tolist()]


def _elements(over, values, shape, count) -> list:
    """`count` elements, or arrays of a shape, from their values one after the other."""
    if shape is None:
        return [over(value) for value in values]
    size = math.prod(shape)
    arrays = []
    for k in range(count):
        content = np.empty(size, object)
        content[:] = values[k * size:(k + 1) * size]
        arrays.append(over.array(content.reshape(shape), check=False))
    return arrays


def _limbs(values) -> np.ndarray:
    content = np.empty(len(values), object)
    content[:] = values
    return from_ints(content)
