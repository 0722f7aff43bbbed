"""What the mix-ins of the runtime rely on.

`engine.runtime.Runtime` is put together from several classes of operations. Each of them uses the
runtime's attributes and some operations of the others; they are declared here, and only here, so
that each file can be read and type-checked by itself.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from engine.array import SecureArray
from engine.meter import Meter
from engine.prss import Randomness
from engine.shamir import Geometry


class RuntimeBase:
    """Attributes of a runtime; `Runtime` and its mix-ins define them."""

    pid: int
    geometry: Geometry
    frac: int
    floor: int
    checking: bool
    check_inputs: int | None
    session: bytes
    meter: Meter
    randomness: Randomness
    _loop: asyncio.AbstractEventLoop

    issue: Callable[..., Any]
    issue_value: Callable[..., Any]
    issue_early: Callable[..., Any]
    open_negative: Callable[..., Any]
    next_operation: Callable[[], int]
    output: Callable[..., Any]

    local: Callable[..., SecureArray]
    secure: Callable[..., SecureArray]
    scale: Callable[..., SecureArray]
    concatenate: Callable[..., SecureArray]
    stack: Callable[..., SecureArray]
    multiply: Callable[..., SecureArray]
    product: Callable[..., SecureArray]
    deal: Callable[..., SecureArray]
    proven: Callable[..., SecureArray]
    select: Callable[..., SecureArray]
    negative: Callable[..., SecureArray]
    to_additive: Callable[..., Any]
    matrix_product: Callable[..., SecureArray]
    less: Callable[..., SecureArray]
    equal: Callable[..., SecureArray]
    largest: Callable[..., SecureArray]
    maximum: Callable[..., SecureArray]
    absolute: Callable[..., SecureArray]
    shuffle: Callable[..., SecureArray]
    sort_rows: Callable[..., Any]
    sort_tables: Callable[..., Any]
    _quicksort: Callable[..., Any]
    assign: Callable[..., SecureArray]
    moveaxis: Callable[..., SecureArray]
    to_bits: Callable[..., SecureArray]
    from_bits: Callable[..., SecureArray]
    exp: Callable[..., SecureArray]
    rsqrt: Callable[..., SecureArray]
    reciprocal: Callable[..., SecureArray]
    in_blocks: Callable[..., SecureArray]
