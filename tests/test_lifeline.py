"""Ports that a node promises to its peers before anything listens on them."""

import asyncio
import socket
import sys

import pytest

from parties.lifeline import ReservedPort

HOST = "127.0.0.1"


def _taken(port: int) -> bool:
    with socket.socket() as other:
        try:
            other.bind((HOST, port))
        except OSError:
            return True
    return False


def test_a_reserved_port_is_nobody_elses() -> None:
    reserved = ReservedPort(HOST)
    assert _taken(reserved.port)
    reserved.close()
    assert not _taken(reserved.port)
    reserved.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a lent port is let go")
def test_a_lent_port_waits_for_the_one_that_listens_on_it() -> None:
    async def scene() -> None:
        reserved = ReservedPort(HOST)
        with pytest.raises(OSError, match="in use"):
            await asyncio.start_server(lambda reader, writer: writer.close(), HOST, reserved.port)
        reserved.lend()
        assert _taken(reserved.port)
        came = asyncio.Event()

        def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set()
            writer.close()

        async with await asyncio.start_server(met, HOST, reserved.port), asyncio.timeout(10):
            assert _taken(reserved.port)
            _, writer = await asyncio.open_connection(HOST, reserved.port)
            await came.wait()
            writer.close()
        reserved.close()

    asyncio.run(scene())
