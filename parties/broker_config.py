"""The embedded broker's configuration, without the broker: who writes it needs no amqtt."""

import hashlib
import ipaddress
from pathlib import Path

from pydantic import ValidationError

from parties.errors import LocalError
from parties.manifest import Port, Strict, explain


class BrokerConfig(Strict):
    """Where to listen, and `password_digest` of each user's password."""

    host: str
    port: Port
    users: dict[str, str]


def password_digest(password: str) -> str:
    """What the broker keeps of a password. Passwords are 256 random bits, drawn for one run, so
    a plain hash is enough: there is no dictionary to run against it."""
    return hashlib.sha256(password.encode()).hexdigest()


def read_config(path: Path) -> BrokerConfig:
    """The configuration in `path`; LocalError if it is unusable or not loopback."""
    try:
        config = BrokerConfig.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else explain(exc)
        raise LocalError(
            "broker_config", f"{path} cannot be used: {cause}", "write host, port and users"
        ) from None
    try:
        loopback = ipaddress.ip_address(config.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise LocalError(
            "broker_config",
            f"the embedded broker must listen on a loopback address, not on {config.host}",
            "use 127.0.0.1, or Mosquitto with mutual TLS between machines",
        )
    if not config.users:
        raise LocalError("broker_config", "no user may connect", "list the parties' users")
    return config
