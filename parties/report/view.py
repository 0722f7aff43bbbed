"""From the job's result document to what the page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from models.selection_rules import REASONS
from parties.report import charts
from parties.report.catalog import LANGUAGES, TEXTS, party_text, text
from parties.report.charts import Both

IV_BANDS = (
    (0.0, "useless"),
    (0.02, "weak"),
    (0.1, "medium"),
    (0.3, "strong"),
    (0.5, "suspicious"),
)
TOP_FEATURES = 30
_BETTER = 0.01  # smaller differences of AUC are within the noise of a test sample


class View:
    """Everything the templates ask for; ``t`` gives a catalogue text in both languages."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.parties: list[str] = list(document["parties"])
        self.initiator: str = document["initiator"]
        self.colours = {name: f"p{i % 5}" for i, name in enumerate(self.parties)}

    def t(self, key: str, **values: object) -> Markup:
        """A catalogue text in both languages; a ``Both`` among the values is taken apart."""
        english, chinese = self.both(key, **values)
        if TEXTS[key][0].startswith("{"):  # a sentence that begins with a name
            english = _capital(english)
        return charts.both((english, chinese))

    def both(self, key: str, **values: object) -> Both:
        """A catalogue text as (English, Chinese)."""
        english, chinese = (
            text(
                key,
                language,
                **{k: v[i] if isinstance(v, tuple) else v for k, v in self._with(values).items()},
            )
            for i, language in enumerate(LANGUAGES)
        )
        return english, chinese

    def _with(self, values: dict[str, object]) -> dict[str, object]:
        known = {"initiator": self.name(self.initiator), "n": len(self.parties)}
        return {**known, **values}

    def name(self, party: str) -> Both:
        """How a sentence calls a party."""
        return party_text(party, "en"), party_text(party, "zh")

    def party(self, name: str) -> Markup:
        """A party's name as a heading."""
        english, chinese = self.name(name)
        return charts.both((_capital(english.removeprefix("the ")), chinese))

    def step(self, name: str) -> Markup:
        """The name of a step of the job."""
        key = f"step_{name}"
        return self.t(key) if key in TEXTS else charts.both((name, name))

    # Headline

    @property
    def better(self) -> bool:
        """Whether the joint model ranks better than the initiator's own."""
        return bool(self.document["auc"]["joint"] - self.document["auc"]["bank"] >= _BETTER)

    @property
    def caught(self) -> dict[str, float] | None:
        """Share of all defaults in the riskiest band, or None without a lift table."""
        lift = self.document.get("lift") or {}
        if not (lift.get("joint") and lift.get("bank")):
            return None
        return {who: lift[who][0]["cum_bad_share"] for who in ("bank", "joint")}

    @property
    def held_out(self) -> int:
        """Number of test rows."""
        return int(sum(band["rows"] for band in self.document["lift"]["joint"]))

    @property
    def bad_rate(self) -> float:
        """Default rate of the test rows."""
        bad = sum(band["bad"] for band in self.document["lift"]["joint"])
        return float(bad / max(self.held_out, 1))

    @property
    def worst_rate(self) -> float:
        """The highest default rate of any band of either model."""
        lift = self.document["lift"]
        return max(float(b["bad_rate"]) for who in ("bank", "joint") for b in lift[who]) or 1.0

    @property
    def unconverged(self) -> list[Both]:
        """The names of the models whose training did not converge."""
        bits = self.document.get("converged") or {}
        return [self.who(one) for one, converged in bits.items() if not converged]

    # Curves

    def roc_chart(self) -> Markup:
        """ROC of both models."""
        roc = self.document["roc"]
        lines = [
            charts.Curve(
                roc["bank"]["fpr"], roc["bank"]["tpr"], "alone", self.both("alone"), (0.52, 0.33)
            ),
            charts.Curve(
                roc["joint"]["fpr"],
                roc["joint"]["tpr"],
                "joint",
                self.both("together"),
                (0.52, 0.25),
            ),
        ]
        return charts.curves(
            lines,
            self.both("axis_fpr"),
            self.both("axis_tpr"),
            title=self.both("roc"),
            diagonal=True,
        )

    def ks_chart(self, who: str) -> Markup:
        """Cumulative shares of both classes along the population, with the largest gap."""
        fpr, tpr = self.document["roc"][who]["fpr"], self.document["roc"][who]["tpr"]
        population = [k / (len(fpr) - 1) for k in range(len(fpr))]
        widest = max(range(len(fpr)), key=lambda k: abs(tpr[k] - fpr[k]))
        low, high = sorted((fpr[widest], tpr[widest]))
        return charts.curves(
            [
                charts.Curve(population, tpr, "bad", self.both("bad"), (0.70, 0.16)),
                charts.Curve(population, fpr, "good", self.both("good"), (0.70, 0.08)),
            ],
            self.both("axis_population"),
            self.both("axis_cumulative"),
            title=self.both("ks_of", who=self.who(who)),
            gap=(population[widest], low, high, f"KS {self.document['ks'][who]:.3f}"),
        )

    def who(self, who: str) -> Both:
        """The name of a model: the initiator's alone or the joint one."""
        return self.both("together" if who == "joint" else "alone")

    def heading(self, who: str) -> Markup:
        """The name of a model as a heading."""
        english, chinese = self.who(who)
        return charts.both((_capital(english), chinese))

    # Features

    @property
    def features(self) -> list[dict[str, Any]]:
        """All features, the strongest first; with `iv` None if it did not open, as selected."""
        selected, plain = set(self.document["selected"]), self.document.get("iv_plaintext") or {}
        reasons = {r["feature"]: r["reason"] for r in self.document.get("selection") or []}
        rows = []
        values = self.document["iv"] or dict.fromkeys(reasons)
        for feature, value in values.items():
            owner, _, column = feature.partition(".")
            rows.append(
                {
                    "feature": feature,
                    "owner": owner,
                    "column": column,
                    "iv": value,
                    "plain": plain.get(feature),
                    "band": None if value is None else _band(value),
                    "used": feature in selected,
                    "reason": reasons.get(feature),
                }
            )
        return sorted(rows, key=lambda row: (-(row["iv"] or 0), not row["used"], row["feature"]))

    def iv_chart(self) -> Markup:
        """The strongest features as bars in their owners' colours."""
        items = [
            charts.Bar(row["feature"], row["iv"], self.colours.get(row["owner"], "p4"))
            for row in self.features[:TOP_FEATURES]
        ]
        marks = [(low, self.both(f"band_{name}")) for low, name in IV_BANDS]
        return charts.bars(items, marks, title=self.both("iv"))

    def selected_of(self, party: str) -> int:
        """How many of a party's features are in the model."""
        return sum(f.startswith(f"{party}.") for f in self.document["selected"])

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """How many features went by each rule, the kept ones first, then by the order of rules."""
        counts = Counter(row["reason"] for row in self.document["selection"])
        return [(reason, counts[reason]) for reason in REASONS if counts[reason]]

    @property
    def iv_words(self) -> str:
        """The text about what opened of the features."""
        if not self.document["iv"]:
            return "iv_closed"
        return "iv_note_tables" if "bin_tables" in self.agreed else "iv_note"

    @property
    def agreed(self) -> set[str]:
        """The parameters of the job that have a value other than none."""
        parameters = self.document.get("parameters") or {}
        return {name for name, value in parameters.items() if value}

    def bin_head(self, place: int) -> Markup:
        """The name of a bin: an ordinary one, that of missing values, or of a special value."""
        parameters = self.document["parameters"]
        if place < parameters["max_bins"]:
            return self.t("col_bin", k=place + 1)
        if place == parameters["max_bins"]:
            return self.t("col_missing")
        value = f"{parameters['special_values'][place - parameters['max_bins'] - 1]:g}"
        return charts.both((value, value))

    # Scorecard

    @property
    def limits(self) -> str:
        """The text about who knows where bins begin and end."""
        given = (self.document.get("parameters") or {}).get("breaks")
        return "limits_given" if given else "limits_own"

    @property
    def card_heads(self) -> list[Markup]:
        """Headings of a feature's bins on the card: the ordinary ones, missing, special values."""
        special = (self.document.get("parameters") or {}).get("special_values", [])
        bins = max(len(row) for row in self.document["card"]["points"])
        ordinary = range(1, bins - len(special))
        codes = [charts.both((f"{value:g}", f"{value:g}")) for value in special]
        return [*(self.t("col_bin", k=k) for k in ordinary), self.t("col_missing"), *codes]

    @property
    def card(self) -> list[dict[str, Any]]:
        """The card's features, the one with the widest range of points first."""
        card = self.document["card"]
        most = max([1, *(abs(p) for row in card["points"] for p in row)])
        rows = []
        for feature, points in zip(card["features"], card["points"], strict=True):
            owner, _, column = feature.partition(".")
            cells = [
                {
                    "points": p,
                    "css": "plus" if p > 0 else "minus" if p < 0 else "",
                    "weight": abs(p) / most,
                }
                for p in points
            ]
            spread = max(points) - min(points)
            rows.append({"owner": owner, "column": column, "cells": cells, "spread": spread})
        return sorted(rows, key=lambda row: -row["spread"])

    @property
    def worst_expected(self) -> float:
        """The highest default rate of the calibration, expected or observed."""
        rows = self.document["calibration"]
        return max(max(r["observed"], r["expected"]) for r in rows) or 1.0

    # Scores

    def score_chart(self, who: str) -> Markup:
        """Score distribution of good against bad, on the axes that both models share."""
        scores = self.document["scores"]
        top, ends = 0.0, []
        for one in (scores["bank"], scores["joint"]):
            ends += [one["edges"][0], one["edges"][-1]]
            for counts in (one["good"], one["bad"]):
                top = max(top, *charts.densities(one["edges"], counts))
        return charts.histogram(
            scores[who]["edges"],
            scores[who]["good"],
            scores[who]["bad"],
            self.both("axis_score"),
            self.both("axis_share"),
            names=(self.both("good"), self.both("bad")),
            title=self.both("scores"),
            top=top * 1.15 or 1.0,
            span=(min(ends), max(ends)),
        )

    # Cost

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Cost of each step in the order in which they ran."""
        seconds = {k: v for k, v in self.document["seconds"].items() if k != "total"}
        cost = self.document["cost"]
        return [
            {"name": name, "seconds": seconds.get(name), **cost.get(name, {})}
            for name in [*seconds, *(n for n in cost if n not in seconds)]
        ]

    def cost_total(self, what: str) -> float:
        """Sum over the steps."""
        return sum(float(step.get(what) or 0) for step in self.steps)

    # Accuracy

    @property
    def twin(self) -> list[tuple[Markup, float, float]]:
        """Rows (name, on shares, in the clear) of the comparison with the plaintext twin."""
        return [
            (charts.both((name.upper(), name.upper())), d["joint"], d["plaintext"])
            for name in ("auc", "ks")
            if (d := self.document[name]).get("plaintext") is not None
        ]

    @property
    def iv_difference(self) -> float | None:
        """Largest difference of an IV from the plaintext twin's."""
        plain = self.document.get("iv_plaintext")
        if not plain:
            return None
        return max(abs(float(v) - float(plain[f])) for f, v in self.document["iv"].items())

    def learned(self, party: str) -> list[tuple[str, str]]:
        """What a party learned, sentence by sentence in both languages."""
        english = self.document["learned"].get(party, [])
        chinese = (self.document.get("learned_zh") or {}).get(party, english)
        if len(chinese) != len(english):
            chinese = english
        return list(zip(english, chinese, strict=True))


def _band(value: float) -> str:
    return next(name for low, name in reversed(IV_BANDS) if value >= low or not low)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
