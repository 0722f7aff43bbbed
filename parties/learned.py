"""Who learns what from a job, in sentences a person can check, English and Chinese.

Built from the manifest alone, so the same sentences can be read before the job is approved and
stand in the report afterwards. They state what the protocols show to a party that follows them;
what colluding parties could put together is in `docs/security.md`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from parties.join_learned import Told, told
from parties.manifest import Applicants, Inputs, KeyedList, Keys, Manifest, Nothing
from parties.programs import COMMON, SCORE, SESSION, STATE, UPDATE

Sentences = dict[str, list[str]]

_ZH_MEANING = {
    "rows_joint": "有多少行同时存在于各方数据中（训练部分与测试部分；任一部分的违约数或正常数低于"
    "约定下限时作业停止，各方仅得知这一点）",
    "iv": "每个特征的信息值（IV），每个特征一个数",
    "converged": "两个模型的训练是否收敛",
    "auc": "联合模型与仅用自身特征的模型在测试部分上的 AUC",
    "ks": "两个模型在测试部分上的 KS",
    "roc": "两个模型在测试部分固定比例处的好、坏企业累计数（ROC 曲线）",
    "lift": "两个模型十个分数段中每段的行数与违约数",
    "scores": "两个模型中好、坏企业的分数直方图",
    "features": "评分卡使用哪些特征（所有各方均得知）",
    "breaks": "本方特征的分箱边界（由发起方企业的违约情况决定；各方只得知自己特征的边界）",
    "bin_tables": "参数 bin_tables 为其指定的特征在训练部分各分箱的违约数与正常数（其中任一数低于"
    "约定下限的分箱及会泄露它们的分箱不公开，无行的分箱按空公开）",
    "selection": "每个特征被保留，或因哪条规则被剔除",
    "calibration": "联合模型各分数段中模型预期的违约数",
    "stability": "训练部分与测试部分分数分布的差异（PSI），一个数",
    "segments": "按约定列的取值划分的各客群在测试部分的行数与违约数，以及两个模型在其中的 AUC 与 KS"
    "（违约数或正常数低于约定下限的客群，以及会泄露它们的客群不公开）",
    "inference": "联合模型的权重及其标准误、p 值与置信区间",
    "card": "评分卡：所用特征每个分箱的整数分值，以及基础分",
    "examples": "测试部分中若干家本方企业的分数与原因代码",
    "reasons": "本方每家申请企业失分最多的特征",
    "curves": "各子集模型在测试部分固定比例处的好、坏企业累计数",
    "moments": "每两个模型的排序数乘积之和（好、坏行各一个数），即 AUC 的误差",
    "records": "所查询的每个键在各名单中的记录，或没有记录",
    "hits": "所查询的每个键是否在任一名单中达到所查的严重程度",
    "table": "按规则可公布的统计表",
    "own": "各机构只得到自己的结果",
}


def learned(manifest: Manifest) -> Sentences:
    """English sentences by party."""
    if manifest.program.name == COMMON:
        return _of_join(manifest, lambda one: f"{'It' if one.party else 'Everybody'} {one.en}")
    everybody = _everybody_en(manifest)
    result: Sentences = {}
    for party in manifest.names:
        received = [o.meaning for o in manifest.outputs.values() if party in o.receivers]
        owners = _helped(manifest, party)
        sentences = [f"Outputs: {meaning}" for meaning in received]
        if tables := _tables(manifest, party):
            sentences.append(f"The bin tables that it received are of {', '.join(tables)}.")
        if not received:
            sentences.append("It received no output of the job.")
        if owners:
            joins = " and ".join(f"of {manifest.initiator} with {owner}" for owner in owners)
            plural = len(owners) > 1
            sentences.append(
                f"As a helper in the join{'s' if plural else ''} {joins} it saw which positions of "
                "two secretly ordered lists match, that is, "
                + _matched_en(manifest, plural)
                + ", but no identity."
            )
        if len(owners) > 1 and manifest.join and manifest.join.same_order:
            sentences.append(
                "Because it helped in more than one join over the same secret order, it also saw "
                "how far those matches overlap."
            )
        sentences.append(everybody)
        result[party] = sentences
    return result


def learned_zh(manifest: Manifest) -> Sentences:
    """The same sentences in Chinese."""
    if manifest.program.name == COMMON:
        return _of_join(manifest, lambda one: f"{'' if one.party else '所有参与方'}{one.zh}")
    result: Sentences = {}
    for party in manifest.names:
        received = [name for name, o in manifest.outputs.items() if party in o.receivers]
        owners = _helped(manifest, party)
        sentences = [f"输出：{_meaning_zh(manifest, n)}。" for n in received]
        if tables := _tables(manifest, party):
            sentences.append(f"所得分箱表属于以下特征：{'、'.join(tables)}。")
        if not received:
            sentences.append("没有收到任何输出。")
        if owners:
            matches = "、".join(f"{manifest.initiator}与{owner}" for owner in owners)
            sentences.append(
                f"在{matches}的求交中担任协助方，看到两个保密排序的列表中哪些位置相互匹配，"
                f"即{_matched_zh(manifest)}，但看不到任何身份。"
            )
        if len(owners) > 1 and manifest.join and manifest.join.same_order:
            sentences.append("由于在同一保密顺序下协助了多次求交，还看到这些匹配之间的重叠程度。")
        sentences.append(_everybody_zh(manifest))
        result[party] = sentences
    return result


def _of_join(manifest: Manifest, say: Callable[[Told], str]) -> Sentences:
    sentences = told(manifest)
    return {
        party: [say(one) for one in sentences if one.party in (None, party)]
        for party in manifest.names
    }


def nobody(parameters: Mapping[str, Any]) -> list[str]:
    """What no party learned in a job with these parameters."""
    opened = ["bin tables"] * bool(parameters.get("bin_tables"))
    opened += ["segments"] * bool(parameters.get("segment_by"))
    but = f", but for the stated {' and '.join(opened)}" if opened else ""
    weights, woe = _unopened(parameters)
    model = "The weights of the model, and the" if weights else "The"
    values = "The WOE values, and the" if woe else "The"
    return [
        "Which businesses are in more than one party's data.",
        f"{model} score of any business but the stated examples.",
        f"{values} counts of good and bad in any bin of a feature{but}.",
        "Any feature value or label of another party.",
    ]


def nobody_zh(parameters: Mapping[str, Any]) -> list[str]:
    """The same in Chinese."""
    opened = ["分箱表"] * bool(parameters.get("bin_tables"))
    opened += ["客群"] * bool(parameters.get("segment_by"))
    but = f"（约定公开的{'和'.join(opened)}除外）" if opened else ""
    weights, woe = _unopened(parameters)
    return [
        "哪些企业同时出现在多方数据中。",
        f"{'模型的权重，以及' if weights else ''}所列示例之外任何企业的分数。",
        f"{'WOE 值，以及' if woe else ''}特征的任何分箱中的好坏数量{but}。",
        "其他参与方的任何特征值或标签。",
    ]


def _unopened(parameters: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether weights, and whether WOE values stay unknown: points and weights give the latter."""
    weights = not parameters.get("inference")
    return weights, weights or not parameters.get("open_card", True)


def _meaning_zh(manifest: Manifest, output: str) -> str:
    if manifest.program.name in (SCORE, SESSION) and output == "scores":
        return "本方每家申请企业的分数"
    return _ZH_MEANING.get(output, manifest.outputs[output].meaning)


def _helped(manifest: Manifest, party: str) -> list[str]:
    helpers = manifest.join.helpers if manifest.join else {}
    return [owner for owner, pair in helpers.items() if party in pair]


def _everybody_en(manifest: Manifest) -> str:
    given, segments = _given(manifest), manifest.parameters.get("segment_by")
    session = manifest.program.name == SESSION
    known = {
        Inputs: f"the number of rows and the column names of all {len(manifest.parties)} parties"
        + (f", where the bins begin and end (of features: {given})" if given else "")
        + (f", which values {segments} may have" if segments else ""),
        KeyedList: _list_en(manifest),
        Keys: f"that {manifest.initiator} asked {_count(manifest)} keys, of which lists, and "
        f"whether for records or a decision",
        Applicants: f"that {manifest.initiator} had {'at most ' if session else ''}"
        f"{_count(manifest)} applicants scored, and with which model; and it saw "
        f"{'when, how many each time, and ' if session else ''}how many rows each party's table "
        "has",
        Nothing: _asked_en(manifest),
    }[type(manifest.inputs[manifest.initiator])]
    return f"Like everybody it knows from the manifest {known}, and it saw when each step " + (
        "began and ended."
    )


def _everybody_zh(manifest: Manifest) -> str:
    given, segments = _given(manifest), manifest.parameters.get("segment_by")
    session = manifest.program.name == SESSION
    known = {
        Inputs: "各方的行数与列名"
        + (f"、{given}个特征的分箱边界" if given else "")
        + (f"、{segments}可能的取值" if segments else ""),
        KeyedList: _list_zh(manifest),
        Keys: f"{manifest.initiator}查询了{_count(manifest)}个键、查询哪些名单、以及要记录还是判定",
        Applicants: f"{manifest.initiator}为{'至多' if session else ''}{_count(manifest)}家申请企业"
        f"评分、使用哪个模型，并看到{'何时、每次几家，以及' if session else ''}各方数据表的行数",
        Nothing: _asked_zh(manifest),
    }[type(manifest.inputs[manifest.initiator])]
    return f"与所有参与方一样，从作业清单得知{known}，并看到各步骤何时开始、何时结束。"


def _tables(manifest: Manifest, party: str) -> list[str]:
    """Features whose bin tables a party receives."""
    tables = manifest.parameters.get("bin_tables")
    if not isinstance(tables, dict):
        return []
    return [name for name, to in tables.items() if isinstance(to, list) and party in to]


def _given(manifest: Manifest) -> int:
    """Of how many features the manifest itself states the bins."""
    breaks = manifest.parameters.get("breaks")
    return len(breaks) if isinstance(breaks, dict) else 0


def _list_en(manifest: Manifest) -> str:
    terms = manifest.inputs[manifest.initiator]
    if not isinstance(terms, KeyedList):
        return ""
    did = "shared changes of" if manifest.program.name == UPDATE else "published"
    return (
        f"that {manifest.initiator} {did} a list {terms.name} of at most {terms.capacity} records "
        f"with at most {terms.payload} bytes of payload"
    )


def _list_zh(manifest: Manifest) -> str:
    terms = manifest.inputs[manifest.initiator]
    if not isinstance(terms, KeyedList):
        return ""
    did = "更新" if manifest.program.name == UPDATE else "发布"
    return (
        f"{manifest.initiator}{did}了名单{terms.name}，至多{terms.capacity}条记录，"
        f"每条至多{terms.payload}字节附加内容"
    )


def _count(manifest: Manifest) -> int:
    keys = manifest.inputs[manifest.initiator]
    return keys.count if isinstance(keys, Keys | Applicants) else 0


def _matched_en(manifest: Manifest, plural: bool) -> str:
    if manifest.program.name in (SCORE, SESSION):
        each = "of each request, " if manifest.program.name == SESSION else ""
        return each + "how many of the applicants the other party knows"
    return (
        f"how many rows {'each' if plural else 'the'} pair has in common in the training and in "
        "the hold-out part"
    )


def _matched_zh(manifest: Manifest) -> str:
    if manifest.program.name in (SCORE, SESSION):
        each = "每次请求中" if manifest.program.name == SESSION else ""
        return each + "对方认识多少家申请企业"
    return "每一对在训练部分和测试部分各有多少行相同"


def _asked_en(manifest: Manifest) -> str:
    if manifest.program.name == STATE:
        return "what became of which model"
    return (
        f"what {manifest.initiator} asks, of whom, under which rules, and the agreed sizes of what "
        "is shared; who computes learns whose data was refused, and why, and an institution "
        "whether its own was"
    )


def _asked_zh(manifest: Manifest) -> str:
    if manifest.program.name == STATE:
        return "哪个模型进入了什么状态"
    return (
        f"{manifest.initiator}问什么、问哪些机构、依据哪些规则，以及约定的数据规模；"
        "计算方还知道哪些机构的数据被拒绝及原因，机构知道自己的数据是否被拒绝"
    )
