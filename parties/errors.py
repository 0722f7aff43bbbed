"""Errors that say which party, in which step, why, and what to do about it.

As in h11, a mistake on our own side (`LocalError`) is another class than a peer's misbehaviour
(`RemoteProtocolError`): the first is reported to the operator, the second is logged against
the peer and its message is dropped. Errors travel over the bus and into audit logs, so none of
their fields ever holds an identifier, a feature value, a label or a key.
"""

from typing import Any


class PartiesError(Exception):
    """A failure with a machine-readable `code` and a sentence each for cause and remedy."""

    def __init__(
        self,
        code: str,
        cause: str,
        remedy: str = "",
        *,
        party: str | None = None,
        step: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {cause}")
        self.code = code
        self.party = party
        self.step = step
        self.cause = cause
        self.remedy = remedy

    def as_dict(self) -> dict[str, Any]:
        """The five fields, ready for JSON."""
        return {
            "code": self.code,
            "party": self.party,
            "step": self.step,
            "cause": self.cause,
            "remedy": self.remedy,
        }


class LocalError(PartiesError):
    """Something on this side is wrong: configuration, data, or a bug of ours."""


class RemoteProtocolError(PartiesError):
    """A peer, or whoever speaks for it, broke the protocol; its message is not acted upon."""


def as_error(fields: dict[str, Any]) -> LocalError:
    """Rebuild an error from the dictionary that `as_dict` made (of ours or of another layer)."""
    text = {name: fields.get(name) for name in ("code", "cause", "remedy", "party", "step")}
    return LocalError(
        str(text["code"] or "failed"),
        str(text["cause"] or "no cause was given"),
        str(text["remedy"] or ""),
        party=None if text["party"] is None else str(text["party"]),
        step=None if text["step"] is None else str(text["step"]),
    )
