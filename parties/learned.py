"""Who learns what from a job, in sentences a person can check, English and Chinese.

Built from the manifest alone, so the same sentences can be read before the job is approved and
stand in the report afterwards. They state what the protocols show to a party that follows them;
what colluding parties could put together is in `docs/security.md`.
"""

from parties.manifest import Manifest

Sentences = dict[str, list[str]]

_ZH_MEANING = {
    "rows_joint": "有多少行同时存在于各方数据中（训练部分与测试部分）",
    "iv": "每个特征的信息值（IV），每个特征一个数",
    "auc": "联合模型与仅用自身特征的模型在测试部分上的 AUC",
    "ks": "两个模型在测试部分上的 KS",
    "roc": "两个模型在测试部分固定比例处的好、坏企业累计数（ROC 曲线）",
    "lift": "两个模型十个分数段中每段的行数与违约数",
    "scores": "两个模型中好、坏企业的分数直方图",
}


def learned(manifest: Manifest) -> Sentences:
    """English sentences by party."""
    everybody = _columns_en(manifest)
    result: Sentences = {}
    for party in manifest.names:
        received = [o.meaning for o in manifest.outputs.values() if party in o.receivers]
        owners = _helped(manifest, party)
        sentences = [f"Outputs: {meaning}" for meaning in received]
        if not received:
            sentences.append("It received no output of the job.")
        if owners:
            joins = " and ".join(f"of {manifest.initiator} with {owner}" for owner in owners)
            plural = len(owners) > 1
            sentences.append(
                f"As a helper in the join{'s' if plural else ''} {joins} it saw which positions of "
                "two secretly ordered lists match, that is, how many rows "
                f"{'each' if plural else 'the'} pair has in common in the training and in the "
                "hold-out part, but no identity."
            )
        if len(owners) > 1 and manifest.join.same_order:
            sentences.append(
                "Because it helped in more than one join over the same secret order, it also saw "
                "how far those matches overlap."
            )
        sentences.append(everybody)
        result[party] = sentences
    return result


def learned_zh(manifest: Manifest) -> Sentences:
    """The same sentences in Chinese."""
    result: Sentences = {}
    for party in manifest.names:
        received = [name for name, o in manifest.outputs.items() if party in o.receivers]
        owners = _helped(manifest, party)
        sentences = [f"输出：{_ZH_MEANING.get(n, manifest.outputs[n].meaning)}。" for n in received]
        if not received:
            sentences.append("没有收到任何输出。")
        if owners:
            matches = "、".join(f"{manifest.initiator}与{owner}" for owner in owners)
            sentences.append(
                f"在{matches}的求交中担任协助方，看到两个保密排序的列表中哪些位置相互匹配，"
                "即每一对在训练部分和测试部分各有多少行相同，但看不到任何身份。"
            )
        if len(owners) > 1 and manifest.join.same_order:
            sentences.append("由于在同一保密顺序下协助了多次求交，还看到这些匹配之间的重叠程度。")
        sentences.append(
            "与所有参与方一样，从作业清单得知各方的行数与列名，并看到各步骤何时开始、何时结束。"
        )
        result[party] = sentences
    return result


def nobody() -> list[str]:
    """What no party learned."""
    return [
        "Which businesses are in more than one party's data.",
        "The weights of the model and the score of any single business.",
        "The WOE values, and the counts of good and bad in any bin of a feature.",
        "Any feature value or label of another party.",
    ]


def nobody_zh() -> list[str]:
    """The same in Chinese."""
    return [
        "哪些企业同时出现在多方数据中。",
        "模型的权重，以及任何单个企业的分数。",
        "WOE 值，以及特征的任何分箱中的好坏数量。",
        "其他参与方的任何特征值或标签。",
    ]


def _helped(manifest: Manifest, party: str) -> list[str]:
    return [owner for owner, helpers in manifest.join.helpers.items() if party in helpers]


def _columns_en(manifest: Manifest) -> str:
    return (
        "Like everybody it knows from the manifest the number of rows and the column names of "
        f"all {len(manifest.parties)} parties, and it saw when each step began and ended."
    )
