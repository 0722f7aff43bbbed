"""`sepc node init`: a home with an identity and a `node.json`, or changes to the latter."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from parties.broker_config import password_digest
from parties.config import CONFIG_FILE, NodeConfig
from parties.errors import LocalError
from parties.identity import KEY_FILE, Directory, Identity, check_party_name
from parties.manifest import explain


def init(home: Path, name: str | None, changes: dict[str, Any]) -> dict[str, Any]:
    """Found a node, or change the fields `changes` of one that is there; its key is never replaced.

    `changes` may hold broker_host, broker_port, broker_password, directory and fields of
    `NodeConfig`; None leaves a field as it is. A password is drawn if none is given. Returns the
    node's public key and what the broker must know of its password.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    existing = (home / CONFIG_FILE).exists()
    fields: dict[str, Any] = {}
    if existing:
        fields = NodeConfig.load(home).model_dump(mode="json")
        if name is not None and name != fields["name"]:
            raise LocalError(
                "node_config",
                f"{home} is the home of {fields['name']}",
                "choose another folder for another node",
                party=fields["name"],
            )
    elif name is None:
        raise LocalError("node_config", "a new node needs a name", "say --name NAME")
    name = check_party_name(str(name or fields["name"]))
    broker = fields.get("broker", {"password": secrets.token_hex(32)})
    for key in ("host", "port", "password"):
        broker[key] = given.pop(f"broker_{key}", broker.get(key))
    if broker["host"] is None or broker["port"] is None:
        raise LocalError("node_config", "a new node needs a broker", "say --broker HOST:PORT")
    home.mkdir(parents=True, mode=0o700, exist_ok=True)
    there = (home / KEY_FILE).exists()
    identity = Identity.load(name, home) if there else Identity.create(name, home)
    directory = given.pop("directory", fields.get("directory", {}))
    if directory.get(name, identity.public_hex) != identity.public_hex:
        raise LocalError(
            "node_config",
            f"the directory lists another public key for {name}",
            f"list {identity.public_hex}",
            party=name,
        )
    document = {
        **fields, **given, "name": name, "broker": broker,
        "directory": {**directory, name: identity.public_hex},
    }  # fmt: skip
    try:
        config = NodeConfig.model_validate_json(json.dumps(document))
    except ValidationError as exc:
        raise LocalError("node_config", explain(exc), "correct the option", party=name) from None
    Directory(config.directory)
    _replace(home / CONFIG_FILE, config.model_dump_json(indent=2))
    return {
        "name": name,
        "home": str(home),
        "public_key": identity.public_hex,
        "broker": f"{broker['host']}:{broker['port']}",
        "broker_user": name,
        "broker_password_digest": password_digest(config.broker.password),
        "directory": config.directory,
    }


def read_directory(path: Path) -> dict[str, str]:
    """Public keys by party from a JSON file: what everybody's `sepc node init` printed."""
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(keys, dict) and all(isinstance(k, str) for k in keys.values()):
            return dict(keys)
        cause = "not an object of names and public keys"
    except OSError as exc:
        cause = str(exc.strerror)
    except ValueError:
        cause = "not JSON"
    raise LocalError("directory", f"{path}: {cause}", 'write {"name": "public key", ...}')


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
