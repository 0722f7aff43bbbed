"""Every sentence of the page of a published table, in English and in simplified Chinese."""

from __future__ import annotations

from parties.report.catalog import LANGUAGES

TEXTS: dict[str, tuple[str, str]] = {
    "subtitle": (
        "{institutions} institutions, one table, nobody’s records shown to anybody",
        "{institutions} 家机构，一张表，谁的记录也不给谁看",
    ),
    "print": ("Print", "打印"),
    "period": ("Period", "时期"),
    "institutions": ("Institutions", "参与机构"),
    "cells": ("Cells", "单元格"),
    "withheld": ("Withheld", "未公布"),
    "shown_share": ("{shown} of {all} cells are shown", "{all} 个单元格中公布 {shown} 个"),
    "rows": ("number of records", "记录数"),
    "total": ("total", "合计"),
    "all_of": ("{dimension}: {category}", "{dimension}：{category}"),
    "figure_in": ("{figure}, in {unit}", "{figure}（{unit}）"),
    "heat_note": (
        "The darker a cell, the larger its figure among the cells of this table. Totals are not "
        "coloured.",
        "颜色越深，数值在本表各单元格中越大；合计不着色。",
    ),
    "heat_note_columns": (
        "The darker a cell, the larger its figure in its column. Totals are not coloured.",
        "颜色越深，数值在本列中越大；合计不着色。",
    ),
    "bars": ("{figure} by {dimension}", "按{dimension}的{figure}"),
    "bars_of": (
        "{figure} by {dimension}: {column}",
        "按{dimension}的{figure}：{column}",
    ),
    "lines": ("{figure} over time", "{figure}的走势"),
    "more": ("{n} more tables", "另外 {n} 张表"),
    "derived_note": (
        "Formed from the figures above; – where one of them is not there.",
        "由上面的数值算出；缺少其一时为 –。",
    ),
    "derived_flagged_share": ("Flagged, of the outstanding amount", "违规金额占授信余额"),
    "derived_loans_share": ("Flagged, of the number of loans", "违规笔数占贷款笔数"),
    "derived_change": (
        "Change of the flagged amount against the period before",
        "违规金额较上期的变化",
    ),
    "percentile": ("{figure}: percentile {level}", "{figure}：第 {level} 百分位数"),
    "derived_mean": ("Mean", "均值"),
    "derived_variance": ("Variance", "方差"),
    "derived_share": (
        "Part of the total over the first dimension that has one",
        "占首个有合计的维度合计的比例",
    ),
    "derived_amount_change": ("Change against the period before", "较上期的变化"),
    "derived_amount_year_change": (
        "Change against the same period a year before",
        "同比变化",
    ),
    "derived_year_change": (
        "Change of the flagged amount against the same period a year before",
        "违规金额同比变化",
    ),
    "derived_region_share": (
        "Flagged amount, of that of all regions",
        "违规金额占各地区合计",
    ),
    "derived_green_share": ("Green loans, of all loans", "绿色贷款占贷款余额"),
    "derived_owed_share": ("Owed, of what all groups owe", "授信余额占全部关联企业组"),
    "derived_band_owed_share": (
        "Owed, of what all companies in the band owe",
        "占同规模企业授信余额",
    ),
    "derived_band_companies_share": ("Companies, of all in the band", "占同规模企业数"),
    "derived_groups_share": ("Groups, of all groups", "组数占全部关联企业组"),
    "derived_largest_share": (
        "Part of the four largest institutions in the outstanding amount (C4)",
        "授信余额中前四大机构的占比（C4）",
    ),
    "derived_concentration": (
        "Concentration of the outstanding amount among institutions (HHI)",
        "授信余额在机构间的集中度（HHI）",
    ),
    "traced_latest": (
        "Loans are followed for up to {hops} payments and {window} days; a payment counts up to "
        "the amount of the most recent one that came in from the loan. A loan is flagged if "
        "{restricted} % of it reach accounts of restricted sectors, or if {back} % come back to "
        "the borrower or a related company; amounts are those that arrived.",
        "贷款资金最多追踪 {hops} 笔付款、{window} 天；"
        "一笔付款按其账户最近一笔来自贷款的入账金额计算。"
        "贷款的 {restricted}% 流入受限领域账户，或 {back}% 回流借款人或其关联企业，即被标记；"
        "金额为到达金额。",
    ),
    "traced_tainted-first": (
        "Loans are followed for up to {hops} payments and {window} days; an account spends what "
        "came from a loan before any other money. A loan is flagged if {restricted} % of it reach "
        "accounts of restricted sectors, or if {back} % come back to the borrower or a related "
        "company; amounts are those that arrived.",
        "贷款资金最多追踪 {hops} 笔付款、{window} 天；账户先支出来自贷款的资金。"
        "贷款的 {restricted}% 流入受限领域账户，或 {back}% 回流借款人或其关联企业，即被标记；"
        "金额为到达金额。",
    ),
    "derived_lent_share": ("Amount, of the amount lent", "金额占放款金额"),
    "derived_lent_loans": ("Loans, of all loans", "笔数占全部贷款笔数"),
    "name_region": ("region", "地区"),
    "name_institution": ("institution", "机构"),
    "name_industry": ("industry", "行业"),
    "name_companies": ("companies", "企业数"),
    "name_balance": ("balance", "余额"),
    "name_period": ("period", "时期"),
    "name_kind": ("kind", "机构类别"),
    "name_exposure": ("exposure", "授信规模"),
    "name_neighbourhood": ("neighbourhood", "关联远近"),
    "name_flow": ("flow", "资金去向"),
    "name_outstanding": ("outstanding", "授信余额"),
    "name_flagged": ("flagged", "违规金额"),
    "name_flagged_loans": ("flagged loans", "违规笔数"),
    "name_all_balance": ("all loans", "贷款余额"),
    "name_green_balance": ("green loans", "绿色贷款余额"),
    "name_owed": ("owed", "授信余额"),
    "name_amount": ("amount", "金额"),
    "neighbourhood_near": ("near a borrower over the limit", "邻近超限借款人"),
    "neighbourhood_elsewhere": ("elsewhere", "其他"),
    "flow_lent": ("lent", "放款"),
    "flow_restricted": ("reached restricted accounts", "流入受限领域"),
    "flow_back": ("came back to the borrower", "回流借款人"),
    "list_bands": ("Ranking bands, 1 is best", "排名档次（1 为最好）"),
    "list_near": ("Companies near a borrower over the limit", "邻近超限借款人的企业"),
    "list_groups": ("Groups over the limit", "超过限额的关联企业组"),
    "col_institution": ("Institution", "机构"),
    "col_band": ("Band", "档次"),
    "col_companies": ("Companies", "企业"),
    "col_owed": ("Owed", "授信余额"),
    "list_empty": ("None.", "无。"),
    "fact_top_over_limit": (
        "The largest groups together exceed their limit: {value}.",
        "最大的若干关联企业组合计是否超过限额：{value}。",
    ),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "rules": ("What is not shown, and why", "未公布的内容及原因"),
    "rules_note": (
        "The rules were applied to secret shares before anything opened: nobody, the publisher "
        "included, has seen a withheld figure.",
        "规则在秘密份额上先行判定，之后才公布：任何人（包括发布方）都没有见过未公布的数值。",
    ),
    "col_mark": ("Mark", "标记"),
    "col_rule": ("Rule", "规则"),
    "col_cells": ("Cells", "单元格数"),
    "rule_minimum-cell": (
        "fewer than {minimum} records (minimum cell)",
        "记录少于 {minimum} 条（最小单元）",
    ),
    "rule_dominance": (
        "the {n} largest contributions make more than {k} % (dominance)",
        "最大的 {n} 项贡献超过 {k}%（支配规则）",
    ),
    "rule_p-ratio": (
        "the largest contribution could be estimated within {p} % (p-ratio)",
        "最大贡献可被估计到 {p}% 以内（p 比率）",
    ),
    "rule_secondary": (
        "would let a withheld cell be worked out from totals (secondary suppression)",
        "会使其他未公布单元格可由合计推算（次级抑制）",
    ),
    "refused": ("Refused institutions", "被拒绝的机构"),
    "refused_note": (
        "Their data did not pass the checks on shares and does not count.",
        "其数据未通过份额上的检查，不计入本表。",
    ),
    "rounding": ("Rounded to multiples of {base}.", "数值取整为 {base} 的倍数。"),
    "noise": (
        "Random noise was added to every figure on shares; no party knows it (differential "
        "privacy, ε = {epsilon} for each figure).",
        "每个数值都在份额上加入了随机噪声，任何一方都不知道其值"
        "（差分隐私，每个数值 ε = {epsilon}）。",
    ),
    "noise_gaussian": (
        "Random noise was added to every figure on shares; no party knows it (zero-concentrated "
        "differential privacy, ρ = {rho} for each figure).",
        "每个数值都在份额上加入了随机噪声，任何一方都不知道其值"
        "（零集中差分隐私，每个数值 ρ = {rho}）。",
    ),
    "noise_size": (
        "Standard deviation of the noise in a cell; in the total of n cells it is √n times that:",
        "单元格中噪声的标准差（n 个单元格的合计为其 √n 倍）：",
    ),
    "noise_unit": (
        "The noise protects a single record; the more records of a company there are, the less is "
        "the company protected. Which cells are withheld was decided without noise. A figure may "
        "have become negative.",
        "噪声保护的是单条记录；一家企业的记录越多，对该企业的保护越弱。"
        "哪些单元格不公布，是按未加噪声的数值判定的。加噪声后的数值可能为负。",
    ),
    "zeros": (
        "Zeros count as disclosive: an empty cell is withheld, too.",
        "零值视为可泄密：空单元格同样不公布。",
    ),
    "no_zeros": ("Empty cells may be shown as zero.", "空单元格可以公布为零。"),
    "evidence": ("Evidence", "证据"),
    "evidence_note": (
        "Every party approved exactly this manifest and checked that its own code has exactly this "
        "measurement. This is program approval, not hardware attestation.",
        "每一方都批准了这份任务清单，并核对了本方代码的度量值。这是程序批准，不是硬件证明。",
    ),
    "manifest": ("Manifest (SHA-256)", "任务清单（SHA-256）"),
    "measurement": ("Code measurement", "代码度量值"),
    "approvals": ("Approved by", "批准方"),
    "rules_version": ("Version of the rules", "规则版本"),
}


def text(key: str, language: str, **values: object) -> str:
    """One sentence in one language."""
    return TEXTS[key][LANGUAGES.index(language)].format(**values)
