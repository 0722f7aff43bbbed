"""The programs a node knows how to run, by the name and version that a manifest states.

A manifest never names a module: what can run is what is listed here, in code that every
organisation reviewed, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from parties.errors import LocalError


@dataclass(frozen=True)
class Program:
    """Where a program's coroutine and its parameters' class are found."""

    version: str
    module: str
    function: str
    parameters: str = "models.parameters:CreditParameters"

    def load(self) -> Any:
        """The coroutine function; imported only when a worker runs it."""
        return getattr(import_module(self.module), self.function)

    def read_parameters(self, document: Mapping[str, Any]) -> Any:
        """The manifest's parameters as the program's own type; ValueError if they do not fit."""
        module, name = self.parameters.split(":")
        return getattr(import_module(module), name).from_json(document)


Programs = Mapping[str, Program]

PROGRAMS: Programs = {
    "credit-model": Program("1", "models.credit", "credit_program"),
}


def find(programs: Programs, name: str, version: str) -> Program:
    """The program of that name and version; LocalError if this node does not have it."""
    program = programs.get(name)
    if program is None or program.version != version:
        known = ", ".join(f"{n} {p.version}" for n, p in programs.items())
        raise LocalError(
            "unknown_program",
            f"program {name} {version} is not installed here (installed: {known})",
            "install the version that the manifest names, or propose an installed one",
        )
    return program
