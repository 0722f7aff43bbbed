"""Credentials, sessions and connections that the tests of TLS and of credentials share."""

from __future__ import annotations

import asyncio

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from engine_kit import free_addresses

from engine.credentials import Credentials, self_signed
from engine.handshake import Session
from engine.rendezvous import connect_all
from engine.shamir import Geometry

SESSION, PROGRAM = b"s" * 32, b"p" * 32


def pinned(m):
    keys = [Ed25519PrivateKey.generate() for _ in range(m)]
    certificates = [self_signed(k) for k in keys]
    return [Credentials.pinned(i, certificates, keys[i]) for i in range(m)]


def sessions(m=3, t=1):
    return [Session(i, Geometry(m, t), SESSION, PROGRAM) for i in range(m)]


async def meet(credentials, at=None, deadline=20.0, everyone=None):
    """Everybody connects; links or errors in party order."""
    everyone = everyone or sessions(len(credentials))
    at = at or free_addresses(len(credentials))
    results = await asyncio.gather(
        *[connect_all(s, at, deadline, c) for s, c in zip(everyone, credentials, strict=True)],
        return_exceptions=True)
    for links in results:
        if isinstance(links, dict):
            for link in links.values():
                link.close()
    return results
