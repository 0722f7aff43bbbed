"""The embedded MQTT broker of a one-machine run: `python -m parties.broker --config FILE`.

amqtt, on loopback only, with a password for every client and no anonymous access. Meant for a
laptop; between organisations run Mosquitto with mutual TLS and one access rule per party. The
bus is not trusted in either case: messages are signed, and no data travels on it.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from amqtt.errors import BrokerError

from parties.broker_config import BrokerConfig, read_config
from parties.errors import LocalError
from parties.lifeline import die_with_parent, on_end_of_input


class _Steady(dict[str, Any]):
    """A dictionary that is iterated as it was when the iteration began."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(super().__iter__()))

    def items(self) -> Any:
        return list(super().items())


def broker(config: BrokerConfig) -> Broker:
    """The broker, not started yet; needs a running event loop."""
    server = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{config.host}:{config.port}"}},
            "session_expiry_interval": 300,
            "plugins": {
                "parties.broker_access.PartyPassword": {"users": config.users},
                "parties.broker_access.PartyTopics": {},
            },
        }
    )
    # amqtt awaits while it iterates over its subscriptions. When another client subscribes
    # meanwhile, the iteration breaks, and a message or a whole connection is lost.
    server._subscriptions = _Steady()
    return server


async def serve(config: BrokerConfig) -> None:
    """Run the broker until SIGTERM, SIGINT or the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    on_end_of_input(partial(loop.call_soon_threadsafe, stop.set))
    running = broker(config)
    await running.start()
    print(json.dumps({"event": "listening", "port": config.port}), flush=True)
    await stop.wait()
    await running.shutdown()


def main(arguments: list[str] | None = None) -> int:
    """Entry point; exit status 1 with one JSON line on standard error if it cannot serve."""
    parser = argparse.ArgumentParser(prog="python -m parties.broker", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args(arguments)
    die_with_parent()
    # amqtt logs whole packets at its lower levels.
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    try:
        asyncio.run(serve(read_config(options.config)))
    except LocalError as exc:
        error = exc
    except BrokerError:
        error = LocalError(
            "broker_start", "the broker could not listen", "free its port, or choose another"
        )
    else:
        return 0
    print(json.dumps({"event": "error", "error": error.as_dict()}), file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
