"""Functions of MPyC in which a party is believed what it computes from its share: verified forms.

Two functions of its secure groups raise a public base to a shared exponent by letting every party
put in, or publish, a power of the base by its own share; and a float that opens to some parties
only is masked by one of these. In verified mode:

* a public power: every party publishes g^(x_i) to all, and these must lie on one polynomial of
  degree t in the exponent (Feldman, FOCS 1987), where the group's order is the field's; elsewhere
  the shared power is computed and opened;
* a shared power: square and multiply over the shared bits of the exponent, one step for each;
* a float: its exponent, times the shared bit whether the significand is not zero.

In the default mode all of them are MPyC's.
"""

import functools

from engine._mpyc import asyncoro, mpyc_runtime, secgroups, sectypes
from engine.errors import RemoteProtocolError

_thresha = mpyc_runtime.thresha
_secret_output = secgroups.repeat_public_base_secret_output
_public_output = secgroups.repeat_public_base_public_output
_float_output = sectypes.SecureFloat._output.__func__


def _checks():
    runtime = secgroups.runtime
    return runtime.geometry.verified and runtime.geometry.m > 1


def _repeat_secret(a, x, secgrp):
    """a^x for a public base, shared."""
    return _by_bits(a, x, secgrp) if _checks() else _secret_output(a, x, secgrp)


def _by_bits(a, x, secgrp):
    power, result = a, secgrp(secgrp.group.identity)
    for k, bit in enumerate(secgroups.runtime.to_bits(x)):
        if k:
            power = power @ power
        result = secgrp.if_else(bit, result @ secgrp(power) if k else secgrp(power), result)
    return result


def _repeat_public(a, x):
    """Product of the a^x for public bases, open to all."""
    if not _checks():
        return _public_output(a, x)
    bases, exponents = (a, x) if isinstance(a, list) else ([a], [x])
    group, field = type(bases[0]), exponents[0].field
    if field.ext_deg == 1 and group.order is not None and int(group.order) == field.order:
        return _published(bases, exponents)
    secgrp = secgroups.runtime.SecGrp(group)
    powers = [_by_bits(b, e, secgrp) for b, e in zip(bases, exponents, strict=True)]
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
