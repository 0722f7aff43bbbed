"""The run folder: one home per organisation, each with its own data and identity, and the bus.

In a deployment every organisation makes its own home and exchanges public keys once. Here one
program does it for all, and afterwards hands each home to a process of its own.
"""

import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parties.broker_config import BrokerConfig, password_digest
from parties.bus import Address
from parties.config import CONFIG_FILE, BrokerAccount, NodeConfig
from parties.errors import LocalError
from parties.identity import Identity
from parties.lifeline import ReservedPort
from parties.manifest import Strict

HOST = "127.0.0.1"
CONSOLE = "console"
BROKER_FILE = "broker.json"


@dataclass(frozen=True)
class Run:
    """Where everything of one run is; the broker's port is held for it as long as this exists."""

    folder: Path
    homes: dict[str, Path]
    keys: dict[str, str]
    broker_file: Path
    console: Address
    reserved: ReservedPort


def new_folder(wanted: Path | None) -> Path:
    """An empty folder for the run; LocalError if the wanted one holds something already."""
    folder = wanted or Path(f"sepc-demo-{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        folder.mkdir(parents=True, exist_ok=wanted is not None, mode=0o700)
        if any(folder.iterdir()):
            raise FileExistsError
    except FileExistsError:
        raise LocalError(
            "out_not_empty",
            f"the output folder {folder} is not empty",
            "choose another folder with --out, or remove this one",
            step="setup",
        ) from None
    except OSError as exc:
        raise LocalError(
            "out_unusable",
            f"the output folder {folder} cannot be used ({exc.strerror})",
            "choose another folder with --out",
            step="setup",
        ) from None
    return folder.absolute()


def prepare(folder: Path, tables: Sequence[Any], files: dict[str, Path], move: bool) -> Run:
    """Make the homes of the parties in `tables` (the initiator first), and the broker's file.

    `files` are the parties' tables; each goes to its owner's home only, moved there if the demo
    made it itself, copied if it is somebody's.
    """
    shapes = {
        table.name: {
            "data": f"data/{files[table.name].name}",
            "id_column": table.id_name,
            "label": table.label_name,
        }
        for table in tables
    }
    run = make_homes(folder, shapes)
    for name, shape in shapes.items():
        target = run.homes[name] / str(shape["data"])
        if move:
            shutil.move(files[name], target)
        else:
            shutil.copyfile(files[name], target)
        target.chmod(0o600)
    return run


def make_homes(folder: Path, nodes: Mapping[str, Mapping[str, Any]]) -> Run:
    """Homes of the named nodes, with these fields of `node.json` besides, and the broker's file."""
    users = [*nodes, CONSOLE]
    if len(set(users)) != len(users):
        raise LocalError(
            "party_name",
            f"a party may not be called {CONSOLE}",
            "rename its file: that name is the operator's on the bus",
            step="setup",
        )
    passwords = {user: secrets.token_hex(32) for user in users}
    homes = {name: folder / "parties" / name for name in nodes}
    for home in homes.values():
        (home / "data").mkdir(parents=True, mode=0o700)
    identities = {name: Identity.create(name, home) for name, home in homes.items()}
    keys = {name: identity.public_hex for name, identity in identities.items()}
    reserved = ReservedPort(HOST)
    reserved.lend()
    port = reserved.port
    for name, fields in nodes.items():
        config = NodeConfig(
            name=name,
            broker=BrokerAccount(host=HOST, port=port, password=passwords[name]),
            directory=keys,
            observers=(CONSOLE,),
            host=HOST,
            **fields,
        )
        _write_private(homes[name] / CONFIG_FILE, config)
    users_file = {user: password_digest(password) for user, password in passwords.items()}
    _write_private(folder / BROKER_FILE, BrokerConfig(host=HOST, port=port, users=users_file))
    return Run(
        folder=folder,
        homes=homes,
        keys=keys,
        broker_file=folder / BROKER_FILE,
        console=Address(HOST, port, CONSOLE, passwords[CONSOLE]),
        reserved=reserved,
    )


def _write_private(path: Path, model: Strict) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(model.model_dump_json(indent=2))
