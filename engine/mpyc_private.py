"""Functions of MPyC in which a party is believed what it computes from its share: verified forms.

Two functions of its secure groups raise a public base to a shared exponent by letting every party
put in, or publish, a power of the base by its own share; and a float that opens to some parties
only is masked by one of these. In verified mode:

* a public power: every party publishes g^(x_i) to all, and these must lie on one polynomial of
  degree t in the exponent (Feldman, FOCS 1987), where the group's order is the field's; elsewhere
  the shared power is computed and opened;
* a shared power g^x: of a random r = Σ r_A from PRSS the parties know [r] and, since each r_A is
  known to all of a set A, also shares of every g^(r_A), without a message. x - r opens, and g^(x-r)
  times these is the power. Where the group's order is no prime that is known, or the exponent in no
  field of that order: square and multiply over the shared bits of the exponent, one step for each;
* a float: its exponent, times the shared bit whether the significand is not zero.

In the default mode all of them are MPyC's.
"""

import functools

from engine._mpyc import asyncoro, gmpy, mpctools, mpyc_runtime, secgroups, sectypes
from engine.errors import RemoteProtocolError
from engine.mpyc_checked import masked_openings

_thresha = mpyc_runtime.thresha
_NUMBERS = (sectypes.SecureFiniteField, sectypes.SecureInteger)
_secret_output = secgroups.repeat_public_base_secret_output
_public_output = secgroups.repeat_public_base_public_output
_float_output = sectypes.SecureFloat._output.__func__


def _checks():
    runtime = secgroups.runtime
    return runtime.geometry.verified and runtime.geometry.m > 1


def _repeat_secret(a, x, secgrp):
    """a^x for a public base, shared."""
    if not _checks():
        return _secret_output(a, x, secgrp)
    exponent = _modulo_order(x, secgrp.group)
    if exponent is None or not all(isinstance(part, _NUMBERS)
                                   for part in _parts(secgrp(secgrp.group.identity))):
        return _by_bits(a, x, secgrp)
    return _by_random_power(a, exponent, secgrp)


def _modulo_order(x, group):
    """x in the field of as many elements as the group has, None where it cannot be brought there.

    A public base has the order of the group or none, as the order is a prime.
    """
    order = 0 if group.order is None else int(group.order)
    if (getattr(x, 'subfield', None) or x.field).order == order:
        return x
    if isinstance(x, sectypes.SecureInteger) and x.bit_length < order.bit_length() \
            and gmpy.is_prime(order):
        runtime = secgroups.runtime
        return runtime.convert(x, runtime.SecFld(modulus=order))
    return None


def _parts(element):
    """The secure numbers that a secure group element consists of."""
    return element.share if isinstance(element.share, tuple) else (element.share,)


@asyncoro.mpc_coro
async def _by_random_power(a, x, secgrp):
    await secgroups.runtime.returnType(secgrp)
    runtime, group, field = secgroups.runtime, secgrp.group, x.field
    m, pid = len(runtime.parties), runtime.pid
    prfs, label = runtime.prfs(field.characteristic), runtime._prss_uci()
    mask = _thresha.pseudorandom_share(field, m, pid, prfs, label, 1)[0]
    powers = []
    for members in runtime.geometry.sets:
        # Who is no member has zeros: the members' polynomial vanishes there.
        known = group.repeat(a, prfs[members](label, 1)[0]) if members in prfs else group.identity
        parts = [type(part)(_share_of_set(part.share, m, pid, members))
                 for part in _parts(secgrp(known))]
        powers.append(secgrp(parts if len(parts) > 1 else parts[0]))
    with masked_openings():
        shown = await runtime.output(await runtime.gather(x) - mask)
    powers.append(secgrp(group.repeat(a, int(shown))))
    return mpctools.reduce(secgrp.operation, powers)


def _share_of_set(element, m, pid, members):
    """Share of degree t of a field element that all members of a PRSS set know."""
    field = type(element)
    return element * field(_thresha._f_S_i(field, m, pid, members))


def _by_bits(a, x, secgrp):
    power, result = a, secgrp(secgrp.group.identity)
    bits = secgroups.runtime.to_bits(x)
    for k, bit in enumerate(bits):
        if k:
            power = power @ power
        if k == len(bits) - 1 and isinstance(x, sectypes.SecureInteger):
            power = ~power  # the sign of two's complement
        result = secgrp.if_else(bit, result @ secgrp(power) if k else secgrp(power), result)
    return result


def _repeat_public(a, x):
    """Product of the a^x for public bases, open to all."""
    if not _checks():
        return _public_output(a, x)
    bases, exponents = (a, x) if isinstance(a, list) else ([a], [x])
    group = type(bases[0])
    reduced = [_modulo_order(e, group) for e in exponents]
    if all(e is not None and e.field.ext_deg == 1 for e in reduced):
        return _published(bases, reduced)
    secgrp = secgroups.runtime.SecGrp(group)
    powers = [_repeat_secret(b, e, secgrp) for b, e in zip(bases, exponents, strict=True)]
    return secgroups.runtime.output(functools.reduce(secgrp.operation, powers))


@asyncoro.mpc_coro
async def _published(bases, exponents) -> asyncoro.Future:
    runtime = secgroups.runtime
    group, field, g = type(bases[0]), exponents[0].field, runtime.geometry
    shares = await runtime.gather(exponents)
    own = _product(group, bases, [int(s.value) for s in shares])
    shown = await runtime.transfer(own)
    points = tuple(range(1, g.t + 2))
    for party, power in enumerate(shown):
        if type(power) is not group:
            raise RemoteProtocolError(
                'bad-value', 'repeat_public: a value that is no power of the base', party=party,
                step=runtime.step, remedy='install the same SEPC version at all parties')

    def implied(at):
        weights = _thresha._recombination_vector(field, points, at)
        return _product(group, shown[:g.t + 1], [int(w) for w in weights])
    if any(implied(p + 1) != shown[p] for p in range(g.t + 1, g.m)):
        raise RemoteProtocolError(
            'cheating-detected', 'repeat_public: the powers that the parties published are not '
            'of shares of one number', step=runtime.step,
            remedy='nothing more is opened here; replace that party before running again')
    return implied(0)


def _product(group, bases, exponents):
    powers = [group.repeat(b, e) for b, e in zip(bases, exponents, strict=True)]
    return functools.reduce(group.operation, powers)


@asyncoro.mpc_coro
async def _private_floats(cls, x, receivers, threshold) -> asyncoro.Future:
    runtime = sectypes.runtime
    significands, exponents = ([a.share[k] for a in x] for k in (0, 1))
    there = runtime.convert([s != 0 for s in significands], cls.exponent_type)
    exponents = runtime.schur_prod(exponents, there)
    significands = await runtime.output(significands, receivers, threshold)
    exponents = await runtime.output(exponents, receivers, threshold)
    if significands[0] is None:
        return significands
    return [s * 2**e for s, e in zip(significands, exponents, strict=True)]


def _output_floats(cls, x, receivers, threshold):
    everybody = len(receivers) == len(sectypes.runtime.parties)
    output = _float_output if everybody or not _checks() else _private_floats
    return output(cls, x, receivers, threshold)


def replace_functions() -> None:
    """Let MPyC call these functions; in the default mode they call MPyC's."""
    secgroups.repeat_public_base_secret_output = _repeat_secret
    secgroups.repeat_public_base_public_output = _repeat_public
    sectypes.SecureFloat._output = classmethod(_output_floats)
