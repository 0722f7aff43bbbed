"""Four parties with keys, and a manifest between them, for tests of a single piece."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.credentials import self_signed
from parties.identity import Directory, Identity
from parties.manifest import Inputs, Manifest
from parties.proposal import credit_manifest

NAMES = ("bank", "fintech", "government", "telecom")
NOW = 1_800_000_000
MEASUREMENT = "ab" * 32


def identity(name: str) -> Identity:
    """An identity that lies in no folder."""
    return Identity(name, Ed25519PrivateKey.generate())


IDENTITIES = {name: identity(name) for name in NAMES}
CERTIFICATE = base64.b64encode(self_signed(Ed25519PrivateKey.generate())).decode()
DIRECTORY = Directory({name: who.public_hex for name, who in IDENTITIES.items()})


def inputs(name: str) -> Inputs:
    """What a party holds."""
    label = "default" if name == "bank" else None
    return Inputs(
        rows=300, id_column="company_id", features=(f"{name}_a", f"{name}_b"), label=label
    )


def manifest(**changes: object) -> Manifest:
    """A credit job of the four."""
    made = credit_manifest(
        inputs={name: inputs(name) for name in NAMES},
        keys=dict(DIRECTORY),
        parameters={"max_bins": 10, "iv_threshold": 0.02},
        measurement=MEASUREMENT,
        now=NOW,
        seconds=600,
    )
    return Manifest.read({**made.document(), **changes})
