"""A credit job that ends in the middle of its joint training."""

from __future__ import annotations

from models.checkpoints import Checkpoint, Checkpoints


class Killed(Exception):
    """What ends the job."""


def kept(folder, pid: int, kill: int | None = None) -> Checkpoints:
    """A party's checkpoints; party 2 is killed after it has kept step `kill` of that training."""

    class Dying(Checkpoint):
        async def save(self, step, state):
            await super().save(step, state)
            if pid == 2 and step == kill and self.folder.name == "joint":
                raise Killed

    class Kept(Checkpoints):
        def of(self, training):
            return Dying(self.folder / training, self.job)

    return Kept(folder / str(pid), "work")
