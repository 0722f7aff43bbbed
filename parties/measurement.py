"""The measurement: one hash that says exactly which code would run a job.

SHA-256 over the source files (`*.py`, by relative path and content) of the engine, the protocols
and the models, the program of the job being one of the models, and over the versions of the
libraries that compute. A manifest names the measurement it was proposed under, and every node
compares it with the hash of what it has installed itself.

This is approval of a program without hardware attestation: it keeps honest parties from
running different code by mistake and makes them approve the same code on purpose. It does not
prove to anybody what a party's machine really executes; a party that lies about its own
measurement is a cheating party, and the MPC protocols, not this hash, protect against that.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import metadata, util
from pathlib import Path

PACKAGES = ("engine", "protocols", "models")
LIBRARIES = ("mpyc", "numba", "llvmlite", "numpy", "gmpy2", "cryptography", "rbcl")


@cache
def measurement() -> str:
    """The measurement of the code installed here, as 64 hexadecimal digits."""
    files = [pair for package in PACKAGES for pair in _sources(package)]
    return measure(files, ((name, _version(name)) for name in LIBRARIES))


def measure(files: Iterable[tuple[str, bytes]], versions: Iterable[tuple[str, str]]) -> str:
    """The hash of (path, content) and (library, version) pairs, whatever order they come in."""
    outer = hashlib.sha256(b"sepc-measurement/1\n")
    for path, content in sorted(files):
        outer.update(f"file {hashlib.sha256(content).hexdigest()} {path}\n".encode())
    for name, version in sorted(versions):
        outer.update(f"library {name} {version}\n".encode())
    return outer.hexdigest()


def _sources(package: str) -> Iterable[tuple[str, bytes]]:
    spec = util.find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(root).rglob("*.py"):
            yield f"{package}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "absent"
