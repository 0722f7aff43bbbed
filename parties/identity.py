"""Who a node is: an Ed25519 key pair, and the directory of everybody's public keys.

The private key lies in the node's own folder, readable by its owner only. What is signed always
begins with a purpose, so that a signature made for one purpose is worth nothing for another.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from parties.errors import LocalError

KEY_FILE = "identity.key"
PARTY_NAME = re.compile(r"[\w.-]{1,64}")


def check_party_name(name: str) -> str:
    """The name itself if it can be a bus topic level and a folder name; LocalError otherwise."""
    if not PARTY_NAME.fullmatch(name) or name.strip(".") == "":
        raise LocalError(
            "party_name",
            f"{name!r} cannot name a party",
            "use 1 to 64 letters, digits, '_', '-' or '.'",
        )
    return name


class Identity:
    """A party's name and its private signing key."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = check_party_name(name)
        self._key = key

    @classmethod
    def create(cls, name: str, folder: Path) -> "Identity":
        """Draw a new key and store it in `folder`, mode 0600; an existing key is never replaced."""
        key = Ed25519PrivateKey.generate()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            handle = os.open(folder / KEY_FILE, flags, 0o600)
        except FileExistsError:
            raise LocalError(
                "identity_exists",
                f"{folder / KEY_FILE} already holds a key",
                "load it, or choose an empty folder for a new identity",
                party=name,
            ) from None
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_bytes_raw())
        return cls(name, key)

    @classmethod
    def load(cls, name: str, folder: Path) -> "Identity":
        """Read the key that `create` stored; refuses one that others could read."""
        path = folder / KEY_FILE
        try:
            mode = path.stat().st_mode & 0o777
            raw = path.read_bytes()
        except OSError as exc:
            raise LocalError(
                "identity_missing",
                f"{path} cannot be read ({exc.strerror})",
                "create the node's identity first",
                party=name,
            ) from None
        if mode & 0o077:
            raise LocalError(
                "identity_exposed",
                f"{path} has mode {mode:04o}, expected 0600",
                f"chmod 600 {path}; if others had access, create a new identity",
                party=name,
            )
        if len(raw) != 32:
            raise LocalError(
                "identity_damaged",
                f"{path} holds {len(raw)} bytes, expected 32",
                "restore the file, or create a new identity",
                party=name,
            )
        return cls(name, Ed25519PrivateKey.from_private_bytes(raw))

    @property
    def public_hex(self) -> str:
        """The public key as 64 hexadecimal digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, purpose: bytes, message: bytes) -> str:
        """The signature of `message` for `purpose`, as 128 hexadecimal digits."""
        return self._key.sign(purpose + b"\n" + message).hex()


class Directory(Mapping[str, str]):
    """Party name to public key (hexadecimal): the only keys whose signatures count."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = {check_party_name(name): key for name, key in keys.items()}
        if len(set(self._keys.values())) != len(self._keys):
            raise LocalError(
                "directory",
                "two parties have the same public key",
                "every organisation needs an identity of its own",
            )

    def __getitem__(self, name: str) -> str:
        return self._keys[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def verify(self, name: str, purpose: bytes, message: bytes, signature: str) -> bool:
        """Whether `signature` is that of party `name`; False also for a party not listed."""
        if name not in self._keys:
            return False
        return verify(self._keys[name], purpose, message, signature)


def verify(public_hex: str, purpose: bytes, message: bytes, signature: str) -> bool:
    """Whether `signature` was made by the owner of `public_hex` over this purpose and message."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_hex))
        key.verify(bytes.fromhex(signature), purpose + b"\n" + message)
    except (InvalidSignature, ValueError):
        return False
    return True
