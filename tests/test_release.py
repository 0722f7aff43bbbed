"""The page, document and spreadsheet of a published table: complete, self-contained, nothing more
than what the table shows."""

from __future__ import annotations

import csv
import io
import json
import re
from string import Formatter

import numpy as np
import pytest
from browser_kit import assert_shown, needs_browser

from parties.release import render_html, write_release
from parties.release.texts import TEXTS, text
from parties.release.view import View
from parties.release.write import render_csv, render_record
from protocols.stats.release import Record, document
from protocols.stats.rules import Rules
from protocols.stats.spec import Dimension, Measure, TableSpec

SPEC = TableSpec(
    (
        Dimension("region", ("North", "South", "=1+1", "<b>West</b>", "中部")),
        Dimension("industry", ("retail", "trade")),
        Dimension("period", ("2025Q1", "2025Q2", "2025Q3"), total=False),
    ),
    (Measure("violating"), Measure("flagged", "count")),
)
HIDDEN = 987_654


def table(spec=SPEC, **record):
    """A table with every kind of withheld cell; withheld figures are all HIDDEN."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 10, spec.extended) % 5
    figures = {
        name: np.where(codes == 0, rng.integers(10, 5000, spec.extended), HIDDEN)
        for name in ("rows", *[m.name for m in spec.measures])
    }
    made = {
        "what": "Use of credit",
        "period": "2025",
        "institutions": ("Bank A", "Bank B"),
        "manifest_hash": "ab" * 32,
        "approvals": ("regulator",),
        "measurement": "cd" * 32,
        "refused": {"Bank X": "amounts out of range"},
        **record,
    }
    return document(spec, Rules(rounding=5), Record(**made), codes, figures)


def test_every_sentence_is_there_in_both_languages():
    for key, (english, chinese) in TEXTS.items():
        fields = [{name for _, name, _, _ in Formatter().parse(s) if name}
                  for s in (english, chinese)]
        assert fields[0] == fields[1], key
        assert key in ("all_of", "figure_in", "bars_of") or re.search(r"[一-鿿]", chinese), key


@pytest.mark.parametrize("language, root", [("en", "en"), ("zh", "zh-CN")])
def test_the_page_stands_alone_and_escapes_names(language, root):
    page = render_html(table(), language)
    assert f'<html lang="{root}">' in page
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)""", page)
    assert "<b>West" not in page and "&lt;b&gt;West" in page
    for sentence in ("What is not shown, and why", "未公布的内容及原因", "Bank X", "ab" * 32):
        assert sentence in page


def test_withheld_figures_are_nowhere_and_every_withheld_cell_has_its_mark():
    found = table()
    page, sheet = render_html(found), render_csv(found)
    for text_ in (page, sheet, json.dumps(found)):
        assert str(HIDDEN) not in text_ and f"{HIDDEN:,}" not in text_
    withheld = sum(c["status"] != "shown" for c in found["cells"])
    assert withheld == sum(found["record"]["withheld"].values()) > 20
    tables = page.split('<section class="evidence">')[0].split("未公布的内容及原因")[0]
    assert tables.count('class="mark"') == withheld * len(View(found).figures)


def test_the_planes_hold_what_the_cells_hold():
    found = table()
    view = View(found)
    assert (view.rows, view.columns, view.others) == ("region", "period", ["industry"])
    planes = view.planes("violating")
    assert [p.heading[0][0] for p in planes] == ["industry: total", "industry: retail",
                                                "industry: trade"]
    for plane, industry in zip(planes, ("total", "retail", "trade"), strict=True):
        for (row, _), line in plane.named_lines:
            for (column, _), cell in zip(plane.columns, line, strict=True):
                [same] = [c for c in found["cells"] if c["place"] == {
                    "region": row, "industry": industry, "period": column}]
                assert cell.value == same["values"].get("violating")


@pytest.mark.parametrize("dimensions", [
    (Dimension("region", ("a", "b", "c")),), (Dimension("period", ("1", "2")),),
    (Dimension("region", ("a", "b")), Dimension("purpose", ("x", "y", "z"))),
    (Dimension("a", ("1", "2")), Dimension("b", ("1",)), Dimension("c", ("1", "2", "3")),
     Dimension("year", ("2024", "2025"))),
])
def test_tables_of_any_shape(dimensions):
    found = table(TableSpec(dimensions, (Measure("balance"),)), institutions=30, refused={})
    page = render_html(found)
    assert page.count("<table") > 2 and ">30<" in page
    assert View(found).lines("balance") or dimensions[-1].name != "year"


def test_the_spreadsheet_has_a_line_per_cell_and_no_formula():
    found = table()
    lines = list(csv.reader(io.StringIO(render_csv(found))))
    assert lines[0] == ["region", "industry", "period", "status", "rows", "violating", "flagged"]
    assert len(lines) == 1 + len(found["cells"])
    assert not any(field.startswith("=") for line in lines for field in line)
    for line, cell in zip(lines[1:], found["cells"], strict=True):
        assert line[3] == cell["status"]
        assert (line[5] == "") == (cell["status"] != "shown")


def test_files_are_written_and_an_unknown_language_is_refused(tmp_path):
    paths = write_release(table(), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "release.json").read_text(encoding="utf-8"))["cells"]
    assert sorted(paths) == ["csv", "html", "json", "record"]
    for name in ("release.csv", "record.csv"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\xef\xbb\xbf")
    with pytest.raises(ValueError, match="'fr', expected one of en, zh"):
        render_html(table(), "fr")


def test_every_list_is_a_spreadsheet_that_the_record_names(tmp_path):
    lists = [
        {"name": "groups", "columns": ["companies", "owed"],
         "rows": [["=A, 企业乙", 12345], ["C", -1]]},
        {"name": "bands", "columns": ["institution", "band"], "rows": []},
    ]  # fmt: skip
    paths = write_release({**table(), "lists": lists}, tmp_path)
    assert sorted(paths) == ["bands", "csv", "groups", "html", "json", "record"]
    files = {"groups": "groups.csv", "bands": "bands.csv"}
    written = json.loads((tmp_path / "release.json").read_text(encoding="utf-8"))
    assert written["record"]["lists"] == files and written["lists"] == lists
    assert (tmp_path / "groups.csv").read_bytes().startswith(b"\xef\xbb\xbf")

    def lines(name):
        return list(csv.reader(io.StringIO((tmp_path / name).read_text(encoding="utf-8-sig"))))

    assert lines("groups.csv") == [["companies", "owed"], ["'=A, 企业乙", "12345"], ["C", "-1"]]
    assert lines("bands.csv") == [["institution", "band"]]
    named = {of: value for field, of, value in lines("record.csv") if field == "lists"}
    assert named == files


def test_the_record_is_a_spreadsheet_too():
    record = {"institutions": ("Bank A", "=Bank B"), "refused": {"+Bank X": "-1 rows"}}
    found = table(**record)["record"]
    facts = {"top_over_limit": False}
    lines = list(csv.reader(io.StringIO(render_record({"record": found, "facts": facts}))))
    assert lines[0] == ["field", "of", "value"]
    said = {(field, of, value) for field, of, value in lines[1:]}
    for line in [
        ("what", "", "Use of credit"), ("period", "", "2025"), ("institutions", "", "Bank A"),
        ("institutions", "", "'=Bank B"), ("refused", "'+Bank X", "'-1 rows"),
        ("rules", "version", "1"), ("rules", "dominance", "2 90"), ("rules", "zeros", "True"),
        ("manifest_hash", "", "ab" * 32), ("measurement", "", "cd" * 32), ("noise", "", ""),
        ("approvals", "", "regulator"), ("facts", "top_over_limit", "False"),
        ("cells", "", str(found["cells"])),
        *(("withheld", rule, str(count)) for rule, count in found["withheld"].items()),
    ]:
        assert line in said, line
    assert ("institutions", "", "30") in set(map(tuple, csv.reader(io.StringIO(
        render_record(table(institutions=30))))))


def test_every_rule_that_can_withhold_is_on_the_page():
    spec = TableSpec((Dimension("region", ("a", "b")),), (Measure("balance"),))
    for rules, count, said in [
        (Rules(), 4, "Zeros count as disclosive"),
        (Rules(0, False, (2, 100), 0), 1, "Empty cells may be shown as zero"),
    ]:
        shown = document(spec, rules, Record("x", "y", 2), np.zeros(3),
                         dict.fromkeys(("rows", "balance"), np.ones(3)))
        assert len(View(shown).rules) == count and {n for *_, n in View(shown).rules} == {0}
        assert said in render_html(shown)


def test_lists_and_facts_of_a_release_are_shown_and_escaped():
    found = {
        **table(),
        "lists": [
            {"name": "groups", "columns": ["companies", "owed"], "rows": [["A<b>, B", 12345]]},
            {"name": "bands", "columns": ["institution", "band"], "rows": []},
        ],
        "facts": {"top_over_limit": False},
    }
    page = render_html(found)
    for said in ("A&lt;b&gt;, B", "12,345", "Groups over the limit", "超过限额的关联", "None."):
        assert said in page
    assert "exceed their limit: no." in page and "是否超过限额：否" in page


def test_derived_figures_are_shown_in_per_cent():
    found = table()
    shown = [c["status"] == "shown" for c in found["cells"]]
    found["derived"] = {
        "flagged_share": [0.1234 if s else None for s in shown], "change": [None] * len(shown)}
    page = render_html(found)
    assert page.count("12.3 %") == sum(shown) > 5
    assert "违规金额占授信余额" in page and page.count(">–<") >= sum(shown)
    assert "derived" not in page


@pytest.mark.parametrize("rule", ["latest", "tainted-first"])
@pytest.mark.parametrize("more", [(), (Dimension("institution", ("Bank A", "Bank B")),)])
def test_flows_are_columns_and_each_is_compared_with_itself(rule, more):
    flows = Dimension("flow", ("lent", "restricted", "back"), total=False)
    region = Dimension("region", ("North", "South", "East", "West"))
    found = table(TableSpec((region, *more, flows), (Measure("amount"),)))
    found["traced"] = {"hops": 3, "window": 21, "rule": rule, "restricted": 10, "back": 25}
    view, page = View(found), render_html(found)
    assert (view.columns, view.charted) == ("flow", ["restricted", "back"])
    for said in ("3 payments and 21 days", "10 % of it reach", "25 % come back", "21 天",
                 "流入受限领域", "came back to the borrower"):
        assert said in page, said
    assert view.bars_title("amount", "back") == (
        "amount, in yuan by region: came back to the borrower", "按地区的金额（yuan）：回流借款人")
    for plane in view.planes("amount"):
        for column in zip(*plane.cells, strict=True):
            heat = [c.heat for c in column if c.value is not None and not c.in_total_row]
            assert not any(heat) or max(heat) == 1.0
    for column in view.charted:
        bars = dict(view.bars("amount", column))
        assert set(bars) == {c["place"]["region"] for c in found["cells"] if c["status"] == "shown"
                             and c["place"]["flow"] == column
                             and {v for k, v in c["place"].items() if k != "flow"} - {
                                 "total"} == {c["place"]["region"]}}


def test_a_document_that_was_stored_makes_the_same_page():
    found = table()
    stored = json.loads(json.dumps(found, sort_keys=True))
    assert render_html(stored).split("<main>")[1] == render_html(found).split("<main>")[1]


def test_noise_is_said():
    found = table()
    assert "protects a single record" not in render_html(found)
    sizes = {"deviations": {"rows": 2.789, "balance": 97_180_000_000.0}}
    found["record"]["noise"] = {"kind": "laplace", "epsilon": 0.5, "rho": 0.25, **sizes}
    page = render_html(found)
    assert "ε = 0.5" in page and "protects a single record" in page and "单条记录" in page
    assert ": 2.79</li>" in page and ": 97,180,000,000</li>" in page
    found["record"]["noise"] = {"kind": "gaussian", "epsilon": 0.0, "rho": 0.25, **sizes}
    page = render_html(found)
    assert "ρ = 0.25" in page and "ε = " not in page
    assert "0.5" in text("noise", "zh", epsilon=0.5)
    for cell in found["cells"]:
        cell["values"] = {name: -value for name, value in cell["values"].items()}
    bars_ = render_html(found).split('class="bar-value"')
    assert len(bars_) > 3 and all(float(re.findall(r'x="([^"]*)"', before)[-1]) == 336
                                  for before in bars_[:-1]), "no label is left of its bar"


@needs_browser
def test_a_browser_shows_the_page(tmp_path):
    lists = [{"name": "bands", "columns": ["institution", "band"], "rows": [["Bank A", 1]]}]
    assert_shown(write_release({**table(), "lists": lists}, tmp_path)["html"], tmp_path)
