"""Threshold ElGamal with a shared key, Schnorr signatures, over several groups."""

import hashlib

from mpyc.fingroups import EllipticCurve, QuadraticResidues, SchnorrGroup

from engine import mpc


async def main():
    await mpc.start()
    groups = {'QR': QuadraticResidues(l=64), 'SG': SchnorrGroup(l=160, n=48),
              'EC': EllipticCurve('Ed25519', 'extended')}
    for name, group in groups.items():
        g = group.generator
        secgrp = mpc.SecGrp(group)
        zn = mpc.SecFld(modulus=int(group.order))
        x = mpc._random(zn)
        h = await secgrp.repeat_public(g, x)
        message = g^5
        u = mpc.random.randrange(zn, 1, int(group.order)) if name == 'QR' else mpc._random(zn)
        c = await secgrp.repeat_public(g, u), await secgrp.repeat_public(h, u)
        masked = c[1] @ message
        shared = await secgrp.repeat_public(c[0], -x)
        print(name, 'decrypts', (shared @ masked) == message)
        # A signature: c = H(g^r), s = r + c x.
        r = mpc._random(zn)
        a = await secgrp.repeat_public(g, r)
        e = int.from_bytes(hashlib.sha256(str(a.value).encode()).digest()[:4], 'big')
        s = int(await mpc.output(r + e * x)) % int(group.order)
        print(name, 'verifies', (g^s) == (a @ (h^e)))
        hidden = mpc.input(secgrp(message), senders=0)
        print(name, 'opens', await mpc.output(hidden @ secgrp(g)) == (g^6))
    await mpc.shutdown()

mpc.run(main())
