"""Keys of lists in the form in which they are compared."""

from collections.abc import Sequence

from parties.errors import LocalError

SEPARATOR = "\x1f"
"""Between the values of a payload: the unit separator, which no text of a table contains."""


def checked_keys(raw: Sequence[str | None], profile: str) -> list[str]:
    """Keys in normal form; LocalError with the numbers of those that have none."""
    # Imported here: a node that asks nothing needs no NumPy.
    from protocols.identifiers import PROFILES, normalise

    found = normalise(raw, profile)
    bad = sorted({int(i) + 1 for where in (found.missing, *found.rejected.values()) for i in where})
    if bad:
        shown = ", ".join(map(str, bad[:5])) + (", …" if len(bad) > 5 else "")
        raise wrong_list(
            f"{len(bad)} of {len(raw)} keys are not keys (number {shown})",
            f"expected {PROFILES[profile].expected}",
        )
    keys: list[str] = found.ids.tolist()
    return keys


def wrong_list(cause: str, remedy: str) -> LocalError:
    """What is wrong with a list or with keys; counts and columns, never a value."""
    return LocalError("list_data", cause, remedy, step="data")
