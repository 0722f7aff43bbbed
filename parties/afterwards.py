"""What a node hears of a job's other parties, also after the job's end at this node."""

import asyncio
import contextlib
from collections.abc import Callable

from parties.errors import LocalError


class Afterwards:
    """News of one job: the receipts that come in, or why another party stopped."""

    def __init__(self) -> None:
        self._failure: LocalError | None = None
        self._news = asyncio.Event()

    def heard(self) -> None:
        """Something came that may be the last receipt."""
        self._news.set()

    def failed(self, error: LocalError) -> None:
        """Another party stopped; the first reason counts."""
        self._failure = self._failure or error
        self._news.set()

    async def all_signed(self, missing: Callable[[], set[str]], seconds: float) -> None:
        """Return once nobody's receipt is `missing`; raise what stopped another party.

        Raises LocalError `no_receipt` after `seconds`, with the name of a party that said nothing.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while missing():
                    if self._failure is not None:
                        raise self._failure
                    self._news.clear()
                    await self._news.wait()
        silent = sorted(missing())
        if not silent:
            return
        raise LocalError(
            "no_receipt",
            f"no receipt came from {', '.join(silent)} before the manifest expired",
            "have that party's node checked, then propose again",
            party=silent[0],
        )
