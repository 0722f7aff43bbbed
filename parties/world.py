"""A generated world of small businesses, seen by four institutions.

Every business has hidden traits (``parties.world_features.TRAITS``).  Its default follows from the
traits and from chance; the parties see noisy, skewed, incomplete views of them, each party of
other traits.  So the bank alone can tell only part of the risk.  See docs/world.md.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from parties.world_features import PARTIES, TRAITS, Group
from protocols.table import PartyTable

ID_NAME = "company_id"
LABEL_NAME = "default"
SEED = 20260701
MIN_BUSINESSES = 200

# Effect of one standard deviation of a trait on ln(odds of default).
_RISK = {
    "size": -0.17,
    "age": -0.20,
    "management": -0.90,
    "liquidity": -0.95,
    "growth": -0.50,
    "network": -0.85,
    "compliance": -0.85,
    "leverage": 0.75,
}
_OVERHEATING = 0.25  # growth far from the usual is risky in both directions
_BASE = -2.8
_COMMON = 0.825  # share of each party's businesses that all parties know

_WHOLE = {"count", "days", "flag", "code"}
_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z

Floats = npt.NDArray[np.float64]


def write_world(folder: str | Path, businesses: int = 10_000, seed: int = SEED) -> list[Path]:
    """Write bank.csv (with the label), government.csv, fintech.csv and telecom.csv.

    The same arguments give the same files.  Returns their paths, the bank's first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in generate_world(businesses, seed):
        path = folder / f"{table.name}.csv"
        _write_csv(path, table)
        paths.append(path)
    return paths


def generate_world(businesses: int = 10_000, seed: int = SEED) -> list[PartyTable]:
    """The four parties' tables of ``businesses`` rows each, the bank's first."""
    if businesses < MIN_BUSINESSES:
        raise ValueError(
            f"{businesses} businesses, expected at least {MIN_BUSINESSES}: rare events would not "
            "occur at all in fewer"
        )
    rng = np.random.default_rng(seed)
    members, population = _members(rng, businesses)
    ids = credit_codes(rng, population)
    traits = {name: rng.standard_normal(population) for name in TRAITS}
    defaulted = rng.random(population) < _default_probability(traits)
    tables = []
    for party, groups in PARTIES.items():
        rows = members[party]
        seen = {name: values[rows] for name, values in traits.items()}
        columns: dict[str, Floats] = {}
        for group in groups:
            columns.update(_columns(rng, group, seen))
        label = defaulted[rows].astype(np.int8) if party == "bank" else None
        tables.append(
            PartyTable(
                party, ID_NAME, ids[rows], columns, LABEL_NAME if party == "bank" else None, label
            )
        )
    return tables


def credit_codes(rng: np.random.Generator, count: int) -> npt.NDArray[np.object_]:
    """Distinct 18-character unified social credit codes with valid check characters.

    The administrative division starts with 99, which is not assigned: none of the codes belongs
    to a real business.
    """
    body = rng.permutation(_distinct(rng, count, 31**6))
    characters = np.empty((count, 18), dtype=np.int64)
    characters[:, 0] = 9
    characters[:, 1] = 1
    characters[:, 2:4] = 9
    characters[:, 4:8] = rng.integers(0, 10, (count, 4))
    characters[:, 8] = _CODE_ALPHABET.index("M")
    characters[:, 9] = _CODE_ALPHABET.index("A")
    characters[:, 10:16] = body[:, None] // 31 ** np.arange(6) % 31
    characters[:, 16] = _organisation_check(characters[:, 8:16])
    weights = 3 ** np.arange(17) % 31
    characters[:, 17] = -(characters[:, :17] @ weights) % 31
    letters = np.array(list(_CODE_ALPHABET))[characters]
    joined: npt.NDArray[np.object_] = letters.view("<U18").reshape(count).astype(object)
    return joined


def _organisation_check(body: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Check character of the nine-character organisation code inside (GB 11714-1997)."""
    # That standard counts letters A = 10 … Z = 35 without leaving any out.
    worth = np.array([int(c, 36) for c in _CODE_ALPHABET])
    rest = -(worth[body] @ np.array([3, 7, 9, 10, 5, 8, 4, 2])) % 11
    return np.where(rest == 10, _CODE_ALPHABET.index("X"), rest)


def _distinct(rng: np.random.Generator, count: int, below: int) -> npt.NDArray[np.int64]:
    drawn = np.unique(rng.integers(0, below, 2 * count))
    while drawn.size < count:
        drawn = np.unique(np.append(drawn, rng.integers(0, below, 2 * count)))
    return rng.choice(drawn, count, replace=False)


def _members(
    rng: np.random.Generator, businesses: int
) -> tuple[dict[str, npt.NDArray[np.int64]], int]:
    """Which businesses each party knows: a common core, and draws from a pool of others."""
    core = round(_COMMON * businesses)
    own = businesses - core
    pool = 3 * own
    members = {}
    for party in PARTIES:
        others = core + rng.choice(pool, own, replace=False)
        members[party] = rng.permutation(np.append(np.arange(core), others))
    return members, core + pool


def _default_probability(traits: dict[str, Floats]) -> Floats:
    odds = _BASE + sum(effect * traits[name] for name, effect in _RISK.items())
    odds = odds + _OVERHEATING * (traits["growth"] ** 2 - 1)
    probability: Floats = 1.0 / (1.0 + np.exp(-odds))
    return probability


def _columns(
    rng: np.random.Generator, group: Group, traits: dict[str, Floats]
) -> dict[str, Floats]:
    rows = traits["size"].size
    common = group.noise * rng.standard_normal(rows)
    for trait, load in group.loads.items():
        common += load * traits[trait]
    variance = sum(v * v for v in group.loads.values()) + group.noise**2 + group.wobble**2
    columns = {}
    for name in group.columns():
        view = (common + group.wobble * rng.standard_normal(rows)) / np.sqrt(variance)
        values = _values(rng, group, view)
        # Badly run businesses leave more gaps, so that missing says something by itself.
        gaps = group.missing * np.exp(-0.4 * traits["management"] - 0.08)
        values[rng.random(rows) < gaps] = np.nan
        columns[name] = values
    return columns


def _values(rng: np.random.Generator, group: Group, view: Floats) -> Floats:
    """Turn a standard normal view into the kind of figure that the column holds."""
    level, spread = group.level, group.spread
    if group.kind == "amount":
        return np.round(np.exp(level + spread * view), 2).astype(np.float64)
    if group.kind == "count":
        return rng.poisson(np.exp(level + spread * view)).astype(np.float64)
    if group.kind == "share":
        return np.round(1.0 / (1.0 + np.exp(-(level + spread * view))), 4).astype(np.float64)
    if group.kind == "change":
        heavy = view * np.exp(0.3 * rng.standard_normal(view.size))
        return np.round(np.maximum(level + spread * heavy, -1.0), 4).astype(np.float64)
    if group.kind == "days":
        return np.round(np.maximum(level + spread * view, 0.0)).astype(np.float64)
    rank = np.argsort(np.argsort(view)) / view.size
    if group.kind == "flag":
        return (rank >= 1.0 - level).astype(np.float64)
    if group.kind == "code":
        return 1.0 + np.floor(level * rank)
    raise ValueError(f"unknown kind of column {group.kind}")


def _write_csv(path: Path, table: PartyTable) -> None:
    whole = {n for g in PARTIES[table.name] if g.kind in _WHOLE for n in g.columns()}
    arrays: dict[str, npt.NDArray[np.generic]] = {table.id_name: table.ids}
    selected = [f'"{table.id_name}"']
    if table.label is not None and table.label_name is not None:
        arrays[table.label_name] = table.label
        selected.append(f'"{table.label_name}"')
    for name, values in table.columns.items():
        arrays[name] = values
        kind = "BIGINT" if name in whole else "DOUBLE"
        selected.append(
            f'CAST(CASE WHEN isnan("{name}") THEN NULL ELSE "{name}" END AS {kind}) AS "{name}"'
        )
    with duckdb.connect(":memory:") as db:
        db.register("arrays", arrays)
        db.sql(f"SELECT {', '.join(selected)} FROM arrays").write_csv(str(path), header=True)
