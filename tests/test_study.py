"""`sepc study uplift`: its page, and one study by four live nodes beside its plaintext twin."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.runs import wait_until_none_left
from rich.console import Console
from test_resume import narrow

from models.uplift_parameters import UpliftParameters
from parties.demo import Options
from parties.identity import Identity
from parties.manifest import Inputs
from parties.study import run_study
from parties.study.page import figure, print_study, render_html, verdict, write_study
from parties.study.proposal import uplift_manifest
from parties.study.texts import TEXTS
from parties.world import write_world

NAMES = ["bank", "government", "fintech", "telecom"]


def interval(value: float, width: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - width, "high": value + width}


def document() -> dict[str, Any]:
    return {
        "job_id": "uplift-1", "initiator": "bank", "parties": ["bank", "<b>tel</b>"],
        "rows_joint_train": 700, "rows_joint_test": 300, "bad": 40,
        "subsets": [
            {"parties": ["bank"], "auc": interval(0.6), "ks": interval(0.2), "gain": None},
            {"parties": ["bank", "<b>tel</b>"], "auc": interval(0.7), "ks": interval(0.3),
             "gain": interval(0.1, 0.2)},
        ],
        "partners": [{"party": "<b>tel</b>", "shapley": interval(0.1, 0.2),
                      "first": interval(0.1), "last": interval(-0.1)}],
        "learned": {"bank": ["one"], "<b>tel</b>": ["two"]},
        "learned_zh": {"bank": ["一"], "<b>tel</b>": ["二"]},
        "nobody_learned": ["nothing"], "nobody_learned_zh": ["无"],
        "seconds": {"total": 12.3},
    }  # fmt: skip


@pytest.mark.parametrize("language, shown", [("en", "en"), ("zh", "zh-CN")])
def test_the_page_is_whole_in_both_languages(language: str, shown: str) -> None:
    page = render_html(document(), language)
    assert f'<html lang="{shown}">' in page
    assert "<b>tel" not in page and "&lt;b&gt;tel" in page
    for english, chinese in TEXTS.values():
        # What is filled in stands between pieces of the sentence.
        for sentence in (english, chinese):
            pieces = [re.escape(p) for p in re.split(r"{\w+}", sentence)]
            if sentence not in TEXTS["adds"]:
                assert re.search(".+?".join(pieces), page, re.DOTALL), sentence
    assert not re.search(r'(src|href)="', page), "nothing is fetched"


def test_figures_say_their_interval_and_verdicts_follow_it(tmp_path: Path) -> None:
    assert figure(interval(0.7)) == "0.700 (0.650–0.750)"
    assert figure(interval(-0.01), "+") == "−0.010 (−0.060 … +0.040)"
    assert verdict({"shapley": interval(0.06)}) == "adds"
    assert verdict({"shapley": interval(0.04)}) == "unclear"
    console = Console(width=200, record=True)
    print_study({**document(), "report": {"html": "study.html"}}, console, "zh")
    text = console.export_text()
    assert "0.700 (0.650–0.750)" in text and TEXTS["unclear"][1] in text
    paths = write_study(document(), tmp_path)
    assert json.loads(Path(paths["json"]).read_text()) == document()
    with pytest.raises(ValueError, match="expected one of"):
        render_html(document(), "de")


def test_the_manifest_says_what_opens(tmp_path: Path) -> None:
    inputs = {
        name: Inputs(rows=9, id_column="id", features=("x",), label="y" if name == "bank" else None)
        for name in NAMES
    }
    keys = {}
    for name in NAMES:
        (tmp_path / name).mkdir()
        keys[name] = Identity.create(name, tmp_path / name).public_hex
    manifest = uplift_manifest(
        inputs=inputs, keys=keys, parameters=UpliftParameters().to_json(), measurement="00" * 32,
        now=1.0, seconds=60,
    )  # fmt: skip
    assert "the AUC of 8 models" in manifest.outputs["auc"].meaning
    assert {o.receivers for o in manifest.outputs.values()} == {("bank",)}


@pytest.mark.live
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_study_by_live_nodes_agrees_with_its_twin(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in write_world(tmp_path / "world", 500):
        narrow(path, data / path.name)
    out = tmp_path / "run"
    # The clock of a command starts with its process; that of the tests may be old by now.
    options = Options(
        data=data,
        out=out,
        deadline=240,
        parameters={"iterations": 10, "max_bins": 4},
        started=time.monotonic(),
    )
    found = run_study(options)
    wait_until_none_left(out)
    assert len(found["subsets"]) == 8
    for mine, clear in zip(found["subsets"], found["plaintext"]["subsets"], strict=True):
        assert mine["parties"] == clear["parties"]
        # A few steps short of the optimum, neighbours of nearly equal score may change places.
        assert mine["auc"]["value"] == pytest.approx(clear["auc"], abs=4e-3)
    assert [one["party"] for one in found["partners"]] == found["parties"][1:]
    assert json.loads((out / "study.json").read_text())["job_id"] == found["job_id"]
    assert (out / "study.html").exists() and not (out / "report.html").exists()
    assert not list(out.glob("parties/*/jobs/*/checkpoints/*/*.npz"))
