"""What a manifest has to say of its job: what opens to whom, and the sentences of its disclosure.

Both follow from everything else in it. Whoever proposes a job writes them by `Stated.said_in`, and
every node makes them again with its own code and compares (`parties.policy`), so people approve
what the program does and not what a proposer claims.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from parties.manifest import Manifest, Output


@dataclass(frozen=True)
class Stated:
    """Outputs by name, and the sentences in their order."""

    outputs: Mapping[str, Output]
    disclosure: tuple[str, ...]

    def said_in(self, manifest: Manifest) -> Manifest:
        """The manifest with these."""
        said = {"outputs": dict(self.outputs), "disclosure": self.disclosure}
        return manifest.model_copy(update=said)

    def outputs_problem(self, manifest: Manifest) -> str | None:
        """Which output of a manifest is not one of these, and what was expected; None if all are.
        """
        for name, due in self.outputs.items():
            said = manifest.outputs.get(name)
            if said is None:
                return f"{name} is missing, expected: {due.meaning}"
            if said.receivers != due.receivers:
                receivers = ", ".join(said.receivers) or "nobody"
                everybody = due.receivers == manifest.names
                to = "everybody" if everybody else f"{', '.join(due.receivers)} alone"
                return f"{name} goes to {receivers}, expected {to}"
            if said.meaning != due.meaning:
                return f"{name} means something else, expected: {due.meaning}"
        if added := sorted(set(manifest.outputs) - set(self.outputs)):
            expected = ", ".join(sorted(self.outputs)) or "nothing"
            return f"{', '.join(added)} does not open by this program, expected {expected}"
        return None

    def disclosure_problem(self, manifest: Manifest) -> str | None:
        """Which sentence of a manifest is not the one of these, and what was expected."""
        said = manifest.disclosure
        for k, due in enumerate(self.disclosure):
            if said[k : k + 1] != (due,):
                what = "is another" if k < len(said) else "is missing"
                return f"sentence {k + 1} {what}, expected: {due}"
        if len(said) > len(self.disclosure):
            return f"{len(said)} sentences, expected the first {len(self.disclosure)} alone"
        return None
