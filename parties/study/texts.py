"""Every sentence of the study's page and table, in English and in simplified Chinese."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Which data is worth having", "哪些数据值得引入"),
    "subtitle": (
        "One model for every subset of partners, on the same {test} businesses, on secret shares",
        "对每个合作方子集各训练一个模型，在同样的 {test} 家企业上以秘密份额检验",
    ),
    "print": ("Print", "打印"),
    "hero_all": (
        "With all partners {initiator} reaches an AUC of {joint}, alone {alone}.",
        "引入全部合作方后，{initiator}的 AUC 为 {joint}，单独为 {alone}。",
    ),
    "hero_best": (
        "{partner} adds the most: {value} on average over all orders in which partners may come.",
        "贡献最大的是{partner}：在所有可能的引入顺序中平均提高 {value}。",
    ),
    "subsets": ("Models", "模型"),
    "subsets_note": (
        "Every interval holds the true figure in 95 of 100 such studies. The gain is against "
        "{initiator} alone, on the same rows, so its interval is narrower than those of the two "
        "figures suggest.",
        "每个区间在 100 次同类研究中约有 95 次包含真值。提升为相对{initiator}单独，"
        "在同样的行上比较，因此其区间比两个指标各自的区间所显示的更窄。",
    ),
    "parties": ("Data of", "使用的数据"),
    "auc": ("AUC", "AUC"),
    "ks": ("KS", "KS"),
    "gain": ("Gain in AUC", "AUC 提升"),
    "partners": ("What each partner adds", "各合作方的贡献"),
    "partners_note": (
        "In AUC. The average is the Shapley value: it shares the whole gain out among the "
        "partners. Coming last is what would be lost without this partner.",
        "以 AUC 计。平均即 Shapley 值，它把总提升分摊给各合作方；最后加入的贡献，"
        "即缺少该方将损失的部分。",
    ),
    "partner": ("Partner", "合作方"),
    "shapley": ("On average", "平均"),
    "first": ("Coming first", "最先加入"),
    "last": ("Coming last", "最后加入"),
    "verdict": ("Reading", "结论"),
    "adds": ("adds, beyond doubt", "确有贡献"),
    "unclear": ("not shown: its interval includes 0", "尚不能确定：区间包含 0"),
    "rows": ("Rows", "行数"),
    "rows_note": (
        "{train} businesses that all parties know served for training and {test} for the test, "
        "of which {bad} defaulted. Rows that a party lacks count in no model, so the models "
        "differ by their features alone.",
        "各方共有的企业中 {train} 家用于训练，{test} 家用于检验，其中 {bad} 家违约。"
        "任何一方缺少的行不计入任何模型，因此各模型只在特征上不同。",
    ),
    "learned": ("Who learned what", "谁得知了什么"),
    "nobody": ("Nobody", "无人得知"),
    "cost": ("Time", "用时"),
    "cost_note": ("{seconds} s in all, job {job}.", "共 {seconds} 秒，任务 {job}。"),
}


def said(key: str, language: int, **values: object) -> str:
    """A sentence in a language, 0 or 1."""
    return TEXTS[key][language].format(**values)
