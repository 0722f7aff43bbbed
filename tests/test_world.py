"""The generated world of small businesses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.parameters import CreditParameters
from models.plain.credit import plain_credit
from parties.data import load_folder
from parties.world import credit_codes, generate_world, write_world
from parties.world_features import PARTIES, TRAITS
from protocols.table import PartyTable

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.fixture(scope="module")
def world() -> list[PartyTable]:
    return generate_world(5000)


def test_shape_and_overlap(world: list[PartyTable]) -> None:
    shape = {t.name: (t.rows, len(t.columns)) for t in world}
    assert shape == {
        "bank": (5000, 8),
        "government": (5000, 120),
        "fintech": (5000, 64),
        "telecom": (5000, 29),
    }
    common = set.intersection(*(set(t.ids) for t in world))
    assert 0.80 <= len(common) / 5000 <= 0.85
    assert len(set.union(*(set(t.ids) for t in world))) > 5500
    assert world[0].label is not None
    assert 0.12 <= world[0].label.mean() <= 0.18
    assert all(len(set(t.features)) == len(t.columns) for t in world)


def test_figures_are_skewed_and_incomplete(world: list[PartyTable]) -> None:
    government = world[1].columns
    vat = government["vat_paid_12m"]
    assert vat.mean() > 1.5 * np.median(vat)
    assert 0.4 < np.isnan(government["export_rebate_12m"]).mean() < 0.7
    shares = [np.isnan(v).mean() for t in world for v in t.columns.values()]
    assert 0.01 < np.mean(shares) < 0.2


def test_the_parties_together_see_more_than_the_bank(world: list[PartyTable]) -> None:
    result = plain_credit(world, CreditParameters())
    assert 0.60 < result["auc"]["bank"] < 0.72
    assert result["auc"]["joint"] > result["auc"]["bank"] + 0.08
    strongest = sorted(result["iv"], key=result["iv"].get, reverse=True)[:40]
    assert {f.split(".")[0] for f in strongest} == set(PARTIES)


def test_files_are_reproducible_and_pass_the_check(tmp_path: Path) -> None:
    first = write_world(tmp_path / "a", 400, seed=3)
    second = write_world(tmp_path / "b", 400, seed=3)
    assert [p.name for p in first] == ["bank.csv", "government.csv", "fintech.csv", "telecom.csv"]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))
    loaded = {t.name: t for t in load_folder(tmp_path / "a", "company_id", "default")}
    for table in generate_world(400, seed=3):
        back = loaded[table.name]
        assert back.ids.tolist() == table.ids.tolist()
        for name, values in table.columns.items():
            assert np.array_equal(values, back.columns[name], equal_nan=True), name
    other = write_world(tmp_path / "c", 400, seed=4)
    assert other[0].read_bytes() != first[0].read_bytes()


def test_the_smallest_world_has_no_constant_column(tmp_path: Path) -> None:
    write_world(tmp_path, 200)
    load_folder(tmp_path, "company_id", "default")
    with pytest.raises(ValueError, match="at least 200"):
        generate_world(199)


def test_credit_codes_are_valid() -> None:
    codes = credit_codes(np.random.default_rng(0), 500)
    assert len(set(codes)) == 500
    for code in codes:
        assert len(code) == 18 and code.startswith("9199")
        total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))
        assert ALPHABET.index(code[17]) == (31 - total % 31) % 31
        body = sum(
            int(c, 36) * w for c, w in zip(code[8:16], (3, 7, 9, 10, 5, 8, 4, 2), strict=True)
        )
        assert code[16] == "0123456789X"[(11 - body % 11) % 11]


def test_check_character_of_a_published_example() -> None:
    # The example in the text of GB 32100-2015.
    code = "91350100M000100Y43"
    total = sum(ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))
    assert ALPHABET[(31 - total % 31) % 31] == code[17]


def test_groups_load_known_traits() -> None:
    for groups in PARTIES.values():
        for group in groups:
            assert set(group.loads) <= set(TRAITS)
            assert group.kind in {"amount", "count", "share", "change", "days", "flag", "code"}
