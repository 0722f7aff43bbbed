"""The report: complete in both languages, self-contained, safe against odd names."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from rich.console import Console

from models.parameters import CreditParameters
from parties.report import print_summary, render_html, write_report
from parties.report.catalog import TEXTS, text
from parties.report.charts import densities
from parties.report.view import View

PARTIES = ["bank", "fintech", "government", "shop"]


def _curve(power: float) -> dict[str, list[float]]:
    fpr = [k / 50 for k in range(51)]
    return {"fpr": fpr, "tpr": [1 - (1 - x) ** power for x in fpr]}


def _lift(worst: float) -> list[dict[str, Any]]:
    rates = [worst - 0.02 * k for k in range(10)]
    return [
        {
            "band": k + 1,
            "rows": 100,
            "bad": round(100 * rate),
            "bad_rate": rate,
            "lift": rate / 0.2,
            "cum_bad_share": sum(rates[: k + 1]) / sum(rates),
            "ks": 0.123,
        }
        for k, rate in enumerate(rates)
    ]


@pytest.fixture
def document() -> dict[str, Any]:
    iv = {
        f"{party}.column_{i}": 0.9 / (1 + i + j)
        for j, party in enumerate(PARTIES)
        for i in range(12)
    }
    scores = {"edges": [400, 450, 500, 600], "good": [10, 60, 30], "bad": [5, 4, 1]}
    return {
        "job_id": "job-1",
        "manifest_sha256": "ab" * 32,
        "measurement": "cd" * 32,
        "parties": PARTIES,
        "initiator": "bank",
        "rows": dict.fromkeys(PARTIES, 12_345),
        "rows_joint": 9_876,
        "features": dict.fromkeys(PARTIES, 12),
        "auc": {"bank": 0.65, "joint": 0.768, "plaintext": 0.7681},
        "ks": {"bank": 0.22, "joint": 0.424, "plaintext": 0.4231},
        "iv": iv,
        "iv_plaintext": {name: value + 1e-4 for name, value in iv.items()},
        "selected": [name for name, value in iv.items() if value >= 0.1],
        "roc": {"bank": _curve(1.5), "joint": _curve(3)},
        "lift": {"bank": _lift(0.3), "joint": _lift(0.4)},
        "scores": {"bank": scores, "joint": scores},
        "selection": [
            {"feature": name, "kept": value >= 0.1, "reason": "kept" if value >= 0.1 else "vif"}
            for name, value in iv.items()
        ],
        "card": {
            "features": ["bank.column_0", "shop.column_1"],
            "points": [[7, -3, 0], [0, 41, -29]],
            "base": 517,
            "scaling": {"points": 600.0, "odds": 20.0, "pdo": 20.0},
            "breaks": {"bank.column_0": [12.5]},
        },
        "card_plaintext": {"points": 7, "same": 6},
        "examples": [
            {"applicant": "column_9131", "score": 566, "reasons": ["shop.column_1"]},
            {"applicant": "column_9132", "score": 601, "reasons": []},
        ],
        "calibration": [
            {"from": None, "to": 480, "rows": 40, "bad": 20, "observed": 0.5, "expected": 0.456},
            {"from": 480, "to": 520, "rows": 90, "bad": 9, "observed": 0.1, "expected": 0.098},
            {"from": 520, "to": None, "rows": 90, "bad": 1, "observed": 0.011, "expected": 0.02},
        ],
        "stability": {"psi": 0.123, "band": "investigate"},
        "seconds": {"join": 1.25, "woe_iv": 2.5, "own_step": 0.5, "total": 4.25},
        "cost": {
            "join": {"rounds": 7, "bytes_per_party": 2_500_000, "multiplications": 100},
            "woe_iv": {"rounds": 50, "bytes_per_party": 1e6, "multiplications": 12_300_000},
        },
        "peak_rss_mb": {"bank": 321.0, "shop": 300.0},
        "learned": {"bank": ["The AUC.", "The KS."], "shop": []},
        "learned_zh": {"bank": ["AUC。", "KS。"], "shop": []},
        "receipts": {"bank": {"signature": "ef" * 64, "outputs_sha256": "01" * 32}},
        "report": {"html": "out/report.html", "json": "out/report.json"},
        "machine": {"cpus": 2},
    }


class _Reader(HTMLParser):
    """Text per language, and the balance of tags."""

    void = ("meta", "br", "line", "rect", "polyline", "path")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {"en": [], "zh-CN": [], "": []}
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.void:
            language = dict(attrs).get("lang") if tag != "html" else None
            self.open.append((tag, language or (self.open[-1][1] if self.open else None)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1][0] == tag, (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] not in ("style", "script") and data.strip():
            self.texts[self.open[-1][1] or ""].append(data.strip())


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


def test_both_languages_are_in_the_page(document: dict[str, Any]) -> None:
    reader = _read(render_html(document))
    english, chinese = reader.texts["en"], reader.texts["zh-CN"]
    assert len(english) == len(chinese)
    assert "Together the 4 parties judge credit risk better than the bank alone." in english
    assert "4 方联合，比银行单独判断信用风险更准。" in chinese
    assert "The AUC." in english and "AUC。" in chinese
    assert not [t for t in english if re.search(r"[\u4e00-\u9fff]", t)]
    # Nothing that a reader has to translate is outside the two languages.
    assert not [t for t in reader.texts[""] if re.search(r"[A-Za-z]{4,}", t) and not _literal(t)]


def _literal(text: str) -> bool:
    return bool(re.match(r"column_|job-1|SEPC|[\w-]+\.column_|[0-9a-f]{64}|cpus|own_step", text))


@pytest.mark.parametrize(("language", "tag"), [("en", "en"), ("zh", "zh-CN")])
def test_the_first_language_is_a_choice(document: dict[str, Any], language: str, tag: str) -> None:
    assert f'<html lang="{tag}">' in render_html(document, language)
    with pytest.raises(ValueError, match="language is 'fr'"):
        render_html(document, "fr")


def test_the_page_loads_nothing(document: dict[str, Any]) -> None:
    page = render_html(document)
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|//\w|\bsrc=|href=|url\(|@import|<link|<img|<iframe", page)


def test_numbers_of_every_section_are_there(document: dict[str, Any]) -> None:
    page = render_html(document)
    for shown in (
        "0.768", "0.650", "+0.118", "9,876", "12,345", "KS 0.424", "KS 0.220", "bank.column_0",
        "0.9001", "40.0%", "2.50", "12.3 M", "4.2", "321", "ab" * 32, "cd" * 32, "ef" * 64,
        "0.0001", "0.0009", "517", "+41", "−29", "column_9131", "480–519", "45.6%", "12.5",
        "to be investigated", "需要关注", "6 / 7", "variance inflation", "方差膨胀",
    ):  # fmt: skip
        assert shown in page, shown
    assert page.count('<rect class="bar ') == 30
    assert page.count('class="code"') == 48 + 5
    # The card begins with the feature that decides most.
    assert page.index("+41") < page.index("+7")


def test_the_gap_of_the_ks_chart_is_where_the_curves_are_farthest(document: dict[str, Any]) -> None:
    svg = View(document).ks_chart("joint")
    found = re.search(r'class="gap" x1="([\d.]+)"', svg)
    assert found is not None
    share = (float(found[1]) - 44) / (340 - 44 - 20)
    curve = document["roc"]["joint"]
    widest = max(range(51), key=lambda k: curve["tpr"][k] - curve["fpr"][k])
    assert share == pytest.approx(widest / 50, abs=0.002)


def test_names_cannot_inject_markup(document: dict[str, Any]) -> None:
    document["iv"]["shop.<script>x</script>"] = 2.0
    document["iv_plaintext"]["shop.<script>x</script>"] = 2.0
    document["learned"]["shop"] = ["<b>bold</b>"]
    page = render_html(document)
    assert "<script>x" not in page and "<b>bold" not in page
    assert _read(page).tags.count("script") == 1


def test_without_uplift_the_headline_says_so(document: dict[str, Any]) -> None:
    document["auc"]["joint"] = 0.655
    page = render_html(document)
    assert "did not improve the bank’s own judgement" in page
    assert "better than" not in page


def test_what_a_production_job_does_not_have(document: dict[str, Any]) -> None:
    absent = "rows_joint iv_plaintext roc lift scores machine card card_plaintext examples"
    for key in (*absent.split(), "calibration", "selection", "stability"):
        document[key] = None
    for values in (document["auc"], document["ks"]):
        del values["plaintext"]
    page = render_html(document)
    _read(page)
    assert "In production no such pool exists" not in page
    assert "ROC curve" not in page


def test_a_training_that_did_not_converge_is_said_first(document: dict[str, Any]) -> None:
    document["converged"] = {"joint": True, "bank": True}
    assert "Both trainings converged." in _read(render_html(document)).texts["en"]
    document["converged"]["joint"] = False
    page = render_html(document)
    assert "Both trainings converged." not in page
    assert 0 < page.index("Did not converge") < page.index("ROC curve")
    console = Console(width=120, record=True, file=io.StringIO())
    print_summary(document, console)
    assert "The training of the joint model did not converge." in console.export_text()


def test_the_card_names_special_values_and_who_knows_the_limits(document: dict[str, Any]) -> None:
    english = _read(render_html(document)).texts["en"]
    assert "bin 2" in english and "missing" in english
    assert any("known to the feature’s owner alone" in words for words in english)
    document["parameters"] = {"special_values": [-999.0], "breaks": {"bank.column_0": [12.5]}}
    english = _read(render_html(document)).texts["en"]
    heads = english.index("bin 1")
    assert english[heads : heads + 3] == ["bin 1", "missing", "-999"]
    assert any("in the job’s manifest" in words for words in english)


def test_the_report_shows_opened_bin_tables(document):
    document["parameters"] = CreditParameters(
        max_bins=2, special_values=(-9,), bin_tables={"fintech.a": ["bank"]}).to_json()
    document["bin_tables"] = {
        "fintech.a": [{"bins": [1], "bad": 1234, "good": 3702}, {"bins": [2], "bad": 0, "good": 0},
                      {"bins": [0, 3], "bad": None, "good": None}]}
    page = render_html(document)
    for words in ("<summary class=\"code\">fintech.a", "1,234", "25.0%", "not opened", "未公开",
                  "fewer than 10 defaulted", "only the agreed bin tables opened",
                  "but for the agreed bin tables"):
        assert words in page, words
    assert "the counts behind it stayed hidden" not in page


def test_the_report_of_a_job_that_opened_no_information_values(document):
    document["iv"], document["iv_plaintext"] = {}, {}
    document["parameters"] = CreditParameters(open_iv=False).to_json()
    page = render_html(document)
    assert "stay secret-shared. " in page and "保持为秘密份额" in page
    assert "column_11" in page and "suspiciously" not in page and ">IV</th>" not in page
    out = io.StringIO()
    print_summary(document, Console(file=out, width=100))
    assert f"{len(document['selected'])} of 48 features" in out.getvalue()


def test_the_report_shows_weights_that_opened(document):
    assert "the weights of the model" in render_html(document)
    row = {"weights": 0.51234, "errors": 0.1, "z": 5.12, "p": 0.0001, "low": 0.31, "high": 0.71}
    document["inference"] = [{"feature": "bank.column_0", **row}, {"feature": None, **row}]
    page = render_html(document)
    assert page.count("0.5123") == 2 and "截距" in page and "Standard error" in page
    assert "the weights of the model" not in page


def test_the_report_shows_figures_by_segment(document):
    page = render_html(document)
    assert "in each segment" not in page and "were weighted by" not in page
    document["parameters"] = CreditParameters(
        segment_by="bank.area", segment_values=(7, None), sample_weight="bank.amount").to_json()
    document["segments"] = [
        {"value": 1234567.0, "rows": 1357, "bad": 59, "auc": {"joint": 0.7531, "bank": 0.6142},
         "ks": {"joint": 0.4213, "bank": 0.2124}},
        {"value": None, "suppressed": "minimum-cell"}]
    page = render_html(document)
    for words in ("in each segment", "各客群", "values of bank.area", "1234567", "1,357", "4.3%",
                  "0.7531", "0.6142", "0.4213", "0.2124", "not opened", "未公开", "fewer than 10",
                  "were weighted by bank.amount", "按 bank.amount 加权"):
        assert words in page, words
    assert page.index("0.6142") < page.index("0.7531"), "as the headings say"


def test_files_are_written(document: dict[str, Any], tmp_path: Path) -> None:
    paths = write_report(document, tmp_path / "run", "zh")
    assert Path(paths["html"]).read_text(encoding="utf-8") == render_html(document, "zh")
    assert json.loads(Path(paths["json"]).read_text(encoding="utf-8")) == document
    document["auc"]["joint"] = float("nan")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_report(document, tmp_path / "run")


def test_catalogue_is_complete() -> None:
    for key, (english, chinese) in TEXTS.items():
        assert english and chinese, key
        fields = [
            sorted({f[1] for f in Formatter().parse(words) if f[1]} - {"n"})
            for words in (english, chinese)
        ]
        assert fields[0] == fields[1], key
    assert text("party_rows", "zh", rows=3) == "3 家企业"


def test_densities_do_not_depend_on_bin_width() -> None:
    assert densities([0, 10, 30], [5, 5]) == [0.5, 0.25]


def test_summary_on_the_terminal(document: dict[str, Any]) -> None:
    out = io.StringIO()
    print_summary(document, Console(file=out, width=90, force_terminal=False))
    shown = out.getvalue()
    for words in (
        "4 parties together: AUC 0.768, +0.118 against bank alone (0.650).",
        "0.7681",
        "bank.column_0",
        "scorecard, 517 base points",
        "column_9131: 566 points; shop.column_1",
        "6 of 7 points as in the clear",
        "out/report.html",
        "at most 321 MB",
    ):
        assert words in shown
    assert "own_step" in shown
    document["auc"]["joint"] = 0.64
    del document["auc"]["plaintext"], document["card_plaintext"]
    out = io.StringIO()
    print_summary(document, Console(file=out, width=90))
    assert "did not help" in out.getvalue()
    assert "in the clear" not in out.getvalue()
