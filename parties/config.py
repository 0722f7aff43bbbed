"""`node.json`: what a node must be told before it can start."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from parties.errors import LocalError
from parties.manifest import Column, Hex32, PartyName, Port, Strict, explain

CONFIG_FILE = "node.json"


class BrokerAccount(Strict):
    """Where the bus is; the user name there is the node's own name."""

    host: str
    port: Port
    password: str


class NoiseBudget(Strict):
    """(ε, δ) of differential privacy that tables with noise may spend together on the same rows."""

    epsilon: Annotated[float, Field(ge=0, le=100)] = 1.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-6


class NodeConfig(Strict):
    """The node's name, its bus account, everybody's public keys, and its own data.

    `data` is a file below the node's home, the table that it brings to joins; a node may have none.
    `approval` says what happens to a proposal of another party that passes all checks: the node
    approves it (`policy`), or waits for its operator's word (`person`). `host` is the address at
    which its workers are met, `hosts` those of others where they differ from it. With
    `spare_worker` a node that holds lists or a live model keeps an idle worker for the next query
    or applicant (about 200 MB). At most `max_jobs` jobs, sessions among them, are under way here at
    a time; more are refused unless a person approves them. `noise_budget` is what its ledger of
    statistics lets pass. `observers` are bus users that receive a copy of what the node sends about
    jobs, such as an operator's console; they can send nothing.
    """

    name: PartyName
    broker: BrokerAccount
    directory: dict[PartyName, Hex32]
    observers: tuple[PartyName, ...] = ()
    data: str | None = None
    id_column: Column | None = None
    label: Column | None = None
    approval: Literal["policy", "person"] = "policy"
    host: str = "127.0.0.1"
    hosts: dict[PartyName, str] = Field(default_factory=dict)
    spare_worker: bool = True
    max_jobs: Annotated[int, Field(ge=1, le=1000)] = 16
    noise_budget: NoiseBudget = NoiseBudget()
    presence_grace: Annotated[float, Field(ge=0)] = 2.0
    connect_deadline: Annotated[float, Field(gt=0)] = 60.0

    @classmethod
    def load(cls, home: Path) -> "NodeConfig":
        """The configuration in `home`; LocalError if it cannot be used."""
        try:
            return cls.model_validate_json((home / CONFIG_FILE).read_bytes())
        except (OSError, ValidationError) as exc:
            cause = exc.strerror if isinstance(exc, OSError) else explain(exc)
            raise LocalError(
                "node_config", f"{home / CONFIG_FILE}: {cause}", "correct the node's configuration"
            ) from None
