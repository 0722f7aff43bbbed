"""The embedded broker, keeping every message that reaches it in `bus.jsonl` beside its config."""

import json
import sys
from pathlib import Path
from typing import Any

from parties import broker
from parties.broker_access import PartyTopics

RECORD = "bus.jsonl"


async def record(self: PartyTopics, *, client_id: str, message: Any) -> None:
    """amqtt calls this for every published message, allowed or not."""
    line = {"topic": message.topic, "payload": bytes(message.data).decode("latin-1")}
    with (Path(sys.argv[-1]).parent / RECORD).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    PartyTopics.on_broker_message_received = record  # type: ignore[attr-defined]
    sys.exit(broker.main())
