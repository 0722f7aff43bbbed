"""One byte string for one JSON value, so that hashes and signatures mean the same everywhere.

Keys are sorted, there is no white space, text is UTF-8, and NaN and infinities are refused.
`parse` accepts nothing else: a document that is not byte for byte in this form is rejected, so
two readers can never understand the same signed bytes differently (for example through a key
that occurs twice).
"""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """The canonical bytes of a JSON value; ValueError or TypeError for what JSON cannot say."""
    _check(value)
    text = json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return text.encode("utf-8")


def sha256(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def parse(data: bytes) -> Any:
    """The value of canonical bytes; ValueError if they are anything but canonical."""
    try:
        value = json.loads(data.decode("utf-8"))
        again = canonical(value)
    except RecursionError as exc:
        raise ValueError("the document is nested too deeply") from exc
    if again != data:
        raise ValueError("the document is not in canonical form")
    return value


def _check(value: Any) -> None:
    """json.dumps would quietly turn other keys into text, and tuples are fine as lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"object keys must be text, got {type(key).__name__}")
            _check(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item)
