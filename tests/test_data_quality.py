"""The data check: figures against NumPy, what is noticed, what a job would refuse, the page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.data import DataError, drift
from parties.data.columns import of_numbers, suspects
from parties.data.page import render_check
from parties.data.prepare import Terms
from parties.data.quality import check_table
from parties.data.texts import TEXTS

ROWS = 400


def _table(path: Path, columns: dict[str, Any], name: str = "firms") -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    (path / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path / f"{name}.csv"


def _columns(rows: int = ROWS, seed: int = 1, shift: float = 0.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shares = [0.1, 0.3, 0.6] if shift else [0.6, 0.3, 0.1]
    return {
        "id": [f"c{i}" if i % 9 else f" C{i}" for i in range(rows)],
        "x": np.round(rng.normal(size=rows) + shift, 3),
        "code": rng.choice(["a", "b", "c"], rows, p=shares),
        "day": [f"2024-{1 + i * 12 // rows:02d}-01" for i in range(rows)],
    }


def _check(place: Path, key: str | tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    reference = options.pop("reference", None)
    document = check_table(place, Terms.of(key, **options), reference=reference, memory_mib=256)
    json.dumps(document, allow_nan=False)
    return document


def _rules(document: dict[str, Any], part: str) -> set[tuple[str | None, str]]:
    return {(one["column"], one["rule"]) for one in document[part]}


def test_figures_are_numpys(tmp_path: Path) -> None:
    columns = _columns()
    columns["x"][:4] = 50, -60, 0, 0
    columns["x"] = ["" if i in (10, 11) else v for i, v in enumerate(columns["x"])]
    by_name = {c["name"]: c for c in _check(_table(tmp_path, columns))["columns"]}
    values = np.array([v for v in columns["x"] if v != ""], float)
    x = by_name["x"]
    assert (x["kind"], x["missing"], x["missing_share"]) == ("number", 2, 2 / ROWS)
    assert (x["min"], x["max"], x["zeros"]) == (-60, 50, int((values == 0).sum()))
    assert x["distinct"] == len(np.unique(values)) and x["negative"] == int((values < 0).sum())
    for name, q in (("q01", 0.01), ("median", 0.5), ("q75", 0.75)):
        assert x[name] == pytest.approx(np.quantile(values, q), abs=1e-12)
    assert (x["mean"], x["std"]) == pytest.approx((values.mean(), values.std()), abs=1e-12)
    q1, q3 = np.quantile(values, [0.25, 0.75])
    assert x["outliers"]["low"] == (values < q1 - 3 * (q3 - q1)).sum() == 1
    assert x["outliers"]["high"] == (values > q3 + 3 * (q3 - q1)).sum() == 1
    assert sum(x["bars"]) == len(values)
    code = by_name["code"]
    assert (code["kind"], code["distinct"]) == ("text", 3)
    assert code["top"][0] == {"value": "a", "count": list(columns["code"]).count("a")}
    assert (by_name["day"]["kind"], by_name["day"]["max"][:10]) == ("date", "2024-12-01")
    assert by_name["id"]["distinct"] == ROWS and by_name["id"]["top"] == []


def test_what_a_person_should_look_at(tmp_path: Path) -> None:
    columns = _columns() | {
        "flat": [3] * ROWS,
        "void": ["NA"] * ROWS,
        "rare": [i if i < 8 else "" for i in range(ROWS)],
        "unknown": [-999 if i % 20 == 0 else -1 if i % 30 == 1 else i % 97 for i in range(ROWS)],
        "mixed": ["n/k" if i == 5 else "three" if i == 6 else i % 7 for i in range(ROWS)],
        "wild": [10**6 if i % 40 == 0 else i % 10 for i in range(ROWS)],
    }
    for values in columns.values():
        values[1:2] = values[0:1]
    document = _check(_table(tmp_path, columns))
    assert document["ok"] and document["repeated_rows"] == 1
    assert _rules(document, "notices") == {
        (None, "rows-repeated"), ("flat", "constant"), ("void", "empty"),
        ("rare", "mostly-missing"), ("unknown", "special"), ("mixed", "mixed"),
        ("wild", "outliers")}
    notices = {n["column"]: n for n in document["notices"]}
    assert (notices["unknown"]["limit"], notices["mixed"]["count"]) == ("-999, -1", 2)
    unknown = next(c for c in document["columns"] if c["name"] == "unknown")
    assert unknown["min"] == 0 and unknown["median"] > 40


@settings(max_examples=30)
@given(st.lists(st.floats(0, 50).map(lambda x: round(x, 2)), min_size=40, max_size=80, unique=True),
       st.sampled_from([-1.0, -99.0, -999.0, 9999.0, 99999999.0]), st.integers(5, 9))
def test_suspects_are_codes_at_an_end_that_stand_apart(
    values: list[float], code: float, count: int
) -> None:
    assert suspects(np.sort(np.array(values))) == []
    assert suspects(np.sort(np.array([*values, *[code] * count]))) == [code]
    assert suspects(np.sort(np.array([*values, *[code] * 4]))) == []
    figures = of_numbers(np.array([*values, *[code] * count]), None)
    assert (figures["min"], figures["max"]) == (min(values), max(values))


def test_balances_that_are_negative_hold_no_codes() -> None:
    values = np.sort(np.array([-1.0] * 20 + [-2.5, -3.0, -40.0] + [float(i) for i in range(50)]))
    assert suspects(values) == []
    assert suspects(np.array([0.0] * 30 + [1.0] * 30 + [99.0] * 30)) == []


# --- drift ---

def test_psi_by_hand_and_by_property() -> None:
    a, e = np.array([30, 70]), np.array([50, 50])
    assert drift.psi(e, a) == pytest.approx(-0.2 * np.log(0.6) + 0.2 * np.log(1.4))
    assert drift.psi(e, 3 * e) == 0.0
    # An empty bin counts half a row on its side.
    assert drift.psi([10, 0], [5, 5]) == pytest.approx(
        -0.5 * np.log(0.5) + (0.5 - 0.05) * np.log(10))
    with pytest.raises(ValueError, match="expected equal and not empty"):
        drift.psi([0, 0], [1, 1])
    assert [drift.band(x) for x in (0.09, 0.1, 0.25)] == ["stable", "investigate", "shifted"]


def test_drift_against_a_file(tmp_path: Path) -> None:
    place = _table(tmp_path, _columns(shift=1.5))
    same, other = _table(tmp_path, _columns(900, 2, 1.5), "same"), _table(
        tmp_path, _columns(900, 3), "other")
    near, far = (_check(place, reference=r) for r in (same, other))
    psis = [{c["name"]: c["drift"]["psi"] for c in d["columns"] if "drift" in c}
            for d in (near, far)]
    assert set(psis[0]) == {"x", "code"}
    assert max(psis[0].values()) < 0.1 < 0.25 < min(psis[1].values())
    assert _rules(far, "notices") == {("x", "drift-shifted"), ("code", "drift-shifted")}
    assert near["reference"] == {"location": str(same), "rows": 900, "compared_rows": ROWS}


def test_drift_against_a_period(tmp_path: Path) -> None:
    columns = _columns()
    late = np.arange(ROWS) >= ROWS // 2
    columns["x"] = columns["x"] + 2 * late
    document = _check(_table(tmp_path, columns), reference="day<2024-07-01")
    assert document["reference"] == {"location": "day < 2024-07-01", "rows": ROWS // 2,
                                     "compared_rows": ROWS // 2}
    psis = {c["name"]: c["drift"]["psi"] for c in document["columns"] if "drift" in c}
    assert psis["x"] == pytest.approx(drift.of_numbers(columns["x"][~late], columns["x"][late]))
    assert psis["x"] > 0.25 and psis["code"] < 0.1 and "day" not in psis
    for period, problem in (("day<2020-01-01", "no row"), ("month<2024-01-01", "not there"),
                            ("day<2024-13-01", "no day"), ("day<2025-01-01", "every row")):
        with pytest.raises(DataError, match=problem):
            _check(tmp_path / "firms.csv", reference=period)


# --- what a job would refuse ---

def test_findings_are_those_of_a_job(tmp_path: Path) -> None:
    columns = _columns() | {"flat": [3] * ROWS}
    columns["id"][5], columns["id"][6], columns["id"][7] = "", "a b", "c8"
    place = _table(tmp_path, columns)
    document = _check(place, "id")
    assert not document["ok"]
    assert _rules(document, "findings") == {
        ("id", "identifier-missing"), ("id", "identifier-malformed"),
        ("id", "identifier-repeated"), ("code", "not-a-number"), ("day", "not-a-number"),
        ("flat", "constant")}
    keys = document["identifiers"]
    assert (keys["rows"], keys["missing"], keys["duplicates"]) == (ROWS, 1, 1)
    assert (keys["changed"]["white-space"], keys["rejected"]["characters"]) == (45, 1)
    assert {c["name"]: c["role"] for c in document["columns"]}["flat"] == "feature"
    assert "c8" not in json.dumps(document).lower().replace("0xc8", "")


def test_aggregated_table_passes(tmp_path: Path) -> None:
    columns = _columns()
    columns["id"] = [f"c{i % 90}" for i in range(ROWS)]
    del columns["code"]
    document = _check(_table(tmp_path, columns), "id", aggregate="x=latest:day")
    assert document["ok"] and document["aggregation"] == {"x": "latest:day"}
    assert document["identifiers"]["businesses"] == 90
    assert document["identifiers"]["duplicates"] == ROWS - 90
    assert document["features"] == ["x"]


# --- the page ---

class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.languages = {"en": 0, "zh-CN": 0}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.outside += [str(given[a]) for a in ("src", "href") if a in given]
        if tag == "span" and given.get("lang") in self.languages:
            self.languages[str(given["lang"])] += 1


def test_the_page_is_complete_and_self_contained(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'format = "sepc-schema/1"\ntitle = "<b>T</b>"\n[columns.x]\ntype = "number"\nmax = 0\n'
        'unit = "CNY"\nmeaning = "<script>alert(1)</script>"\n')
    columns = _columns() | {"<i>odd</i>": [-999 if i % 9 == 0 else i for i in range(ROWS)],
                            "void": [""] * ROWS}
    place = _table(tmp_path, columns)
    document = _check(place, "id", schema=tmp_path / "s.toml", reference=place)
    for language, tag in (("en", "en"), ("zh", "zh-CN")):
        text = render_check(document, language)
        page = _Page()
        page.feed(text)
        assert f'<html lang="{tag}">' in text and page.outside == []
        assert page.languages["en"] == page.languages["zh-CN"] > 40
        assert "<script>alert" not in text and "<i>odd" not in text and "<b>T</b>" not in text
        assert "default-src 'none'" in text and not re.search(r"https?://", text)
    assert render_check(_check(_table(tmp_path, _columns(60)), "id", features=["x"]))
    with pytest.raises(ValueError, match="expected one of en, zh"):
        render_check(document, "fr")


def test_both_languages_say_everything() -> None:
    sources = Path(drift.__file__).parent.glob("*.py")
    rules = {rule for source in sources
             for rule in re.findall(r'rule="([a-z-]+)"|notice\("([a-z-]+)"',
                                    source.read_text(encoding="utf-8")) for rule in rule if rule}
    assert rules and rules - {"column-name", "column-repeated"} <= {
        key.removeprefix("rule_") for key in TEXTS if key.startswith("rule_")}
    for key, (english, chinese) in TEXTS.items():
        fields = [sorted(f for _, f, _, _ in Formatter().parse(text) if f)
                  for text in (english, chinese)]
        assert fields[0] == fields[1], key
        assert english and (key == "col_psi" or re.search(r"[\u4e00-\u9fff]", chinese)), key
