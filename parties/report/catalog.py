"""Every sentence of the report, in English and in simplified Chinese.

``{name}`` marks what the report fills in.  Both languages are written into the page, and the page
shows one of them at a time.
"""

from __future__ import annotations

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = {
    # Head
    "title": ("Joint credit model", "联合信贷模型报告"),
    "subtitle": (
        "{n} institutions, one model, nobody’s data shown to anybody",
        "{n} 家机构，一个模型，谁的数据也不给谁看",
    ),
    "print": ("Print", "打印"),
    "job": ("Job", "任务"),
    # Headline
    "hero_better": (
        "Together the {n} parties judge credit risk better than {initiator} alone.",
        "{n} 方联合，比{initiator}单独判断信用风险更准。",
    ),
    "hero_same": (
        "The other parties’ data did not improve {initiator}’s own judgement.",
        "其他各方的数据没有让{initiator}自己的判断更准。",
    ),
    "hero_text": (
        "Take one business that defaulted and one that repaid. From its own data {initiator} ranks "
        "the defaulter as the riskier one in {alone} of 100 such pairs; with the data of all "
        "{n} parties, in {joint} of 100. The model was trained and tested on secret shares: no "
        "party’s data was shown to any other.",
        "任取一家违约企业和一家正常还款企业：{initiator}只凭自己的数据，100 对中有 {alone} 对"
        "能正确判断谁的风险更高；用上 {n} 方的数据，100 对中有 {joint} 对。模型的训练和测试全程在"
        "秘密份额上进行，任何一方的数据都没有给别人看。",
    ),
    "card_auc": ("Ranking power (AUC)", "排序能力（AUC）"),
    "card_ks": ("Separation (KS)", "区分能力（KS）"),
    "card_caught": ("Defaults in riskiest tenth", "风险最高一成中的违约占比"),
    "card_rows": ("Businesses known to all", "各方共有企业"),
    "card_rows_note": (
        "of {total} at {initiator}; only {initiator} learns this number",
        "{initiator}共有 {total} 家；只有{initiator}得知这个数字",
    ),
    "alone": ("{initiator} alone", "{initiator}单独"),
    "together": ("all parties together", "各方联合"),
    "uplift": ("{value} against {initiator} alone", "较{initiator}单独 {value}"),
    # Curves
    "curves": ("How well the scores tell risk apart", "评分区分风险的能力"),
    "curves_note": (
        "Measured on {rows} businesses held out of the training.",
        "用未参加训练的 {rows} 家企业检验。",
    ),
    "roc": ("ROC curve", "ROC 曲线"),
    "roc_note": (
        "The further a curve bends to the upper left, the better. The diagonal is a coin toss.",
        "曲线越靠近左上角越好；对角线相当于抛硬币。",
    ),
    "ks_of": ("KS curve: {who}", "KS 曲线：{who}"),
    "ks_note": (
        "Businesses from the riskiest to the safest. The gap between the shares of defaulted and "
        "of repaid loans found so far is the KS.",
        "企业按风险从高到低排列；违约与正常企业累计占比之间的最大差距即 KS。",
    ),
    "axis_fpr": ("share of good businesses", "正常企业占比"),
    "axis_tpr": ("share of defaulted businesses", "违约企业占比"),
    "axis_population": ("share of all businesses, riskiest first", "全部企业占比（风险从高到低）"),
    "axis_cumulative": ("share found so far", "累计占比"),
    "bad": ("defaulted", "违约"),
    "good": ("repaid", "正常"),
    # IV
    "iv": ("Which facts say something about default", "哪些信息能说明违约"),
    "iv_note": (
        "Information value (IV) of each feature against the default label: computed on shares, "
        "opened to {initiator} only; the counts behind it stayed hidden. {selected} of {all} "
        "features passed the selection and entered the model.",
        "每个特征对违约标签的信息值（IV）：在份额上计算，只向{initiator}公开，其背后的计数始终保密。"
        "共 {all} 个特征，其中 {selected} 个通过筛选而进入模型。",
    ),
    "iv_note_tables": (
        "Information value (IV) of each feature against the default label: computed on shares, "
        "opened to {initiator} only; of the counts behind it only the agreed bin tables opened. "
        "{selected} of {all} features passed the selection and entered the model.",
        "每个特征对违约标签的信息值（IV）：在份额上计算，只向{initiator}公开；其背后的计数除约定的"
        "分箱表外始终保密。共 {all} 个特征，其中 {selected} 个通过筛选而进入模型。",
    ),
    "bin_tables": ("Bin tables that opened", "公开的分箱表"),
    "bin_tables_note": (
        "Rows of the training part per bin. Bins with fewer than {minimum} defaulted or repaid "
        "businesses stayed closed, with others that would give them away: they count as one bin, "
        "in the information value and in the model too.",
        "训练部分各分箱的行数。违约或正常企业不足 {minimum} 家的分箱，以及会泄露它们的分箱"
        "均不公开，并合为一箱参与信息值与模型的计算。",
    ),
    "col_bins": ("Bins", "分箱"),
    "not_opened": ("not opened", "未公开"),
    "iv_closed": (
        "The information values of the features stay secret-shared. {selected} of {all} features "
        "passed the selection and entered the model.",
        "各特征的信息值（IV）保持为秘密份额，不公开。共 {all} 个特征，其中 {selected} 个通过筛选而"
        "进入模型。",
    ),
    "iv_top": ("The {n} strongest", "最强的 {n} 个"),
    "iv_all": ("All {n} features", "全部 {n} 个特征"),
    "band_useless": ("useless", "无用"),
    "band_weak": ("weak", "弱"),
    "band_medium": ("medium", "中"),
    "band_strong": ("strong", "强"),
    "band_suspicious": ("suspiciously strong", "强得可疑"),
    "iv_suspicious": (
        "An IV above 0.5 is rare: check that the feature was known before the default.",
        "IV 超过 0.5 很少见：请核实该特征在违约之前就已知道。",
    ),
    "col_feature": ("Feature", "特征"),
    "col_owner": ("Owner", "所有方"),
    "col_iv": ("IV", "IV"),
    "col_iv_plain": ("IV in the clear", "明文 IV"),
    "col_strength": ("Strength", "强度"),
    "col_used": ("Selection", "筛选结果"),
    # Selection
    "selection": ("Why features stayed or went", "特征为何保留或剔除"),
    "selection_note": (
        "The rules apply one after the other, on shares; a feature goes by the first that it "
        "fails. The reason opens to {initiator}, the list of kept features to everybody: they must "
        "be supplied for every applicant.",
        "各规则依次在份额上执行，特征因最先未通过的规则被剔除。原因只向{initiator}公开；保留的特征"
        "名单向所有各方公开，因为评分时需要提供这些特征。",
    ),
    "col_count": ("Features", "特征数"),
    "col_rule": ("Rule", "规则"),
    "reason_kept": ("kept", "保留"),
    "reason_excluded": ("excluded by business", "业务排除"),
    "reason_missing": ("too many missing values", "缺失值过多"),
    "reason_iv": ("information value too low", "IV 过低"),
    "reason_p_value": ("not significant", "不显著"),
    "reason_correlation": ("correlated with a stronger one", "与更强的特征高度相关"),
    "reason_vif": ("variance inflation", "方差膨胀"),
    "reason_stepwise": ("adds too little (stepwise)", "增益不足（逐步回归）"),
    # Scorecard
    "scorecard": ("The scorecard", "评分卡"),
    "scorecard_note": (
        "Every applicant starts with {base} points; each feature adds the points of its bin. More "
        "points mean less risk: {points} points stand for {odds} good to one bad, {pdo} more "
        "double that. Bins run from the lowest values to the highest. Opened to {initiator} only.",
        "每个申请企业从 {base} 分起算，每个特征加上所在分箱的分值。分数越高风险越低：{points} 分"
        "表示好坏比 {odds}:1，每加 {pdo} 分好坏比翻倍。分箱按取值从低到高排列。"
        "评分卡只向{initiator}公开。",
    ),
    "limits_own": (
        "Where a bin begins and ends is known to the feature’s owner alone.",
        "分箱边界只有特征所有方知道。",
    ),
    "limits_given": (
        "Where bins begin and end is in the job’s manifest for the features that it names, and "
        "otherwise known to the feature’s owner alone.",
        "作业清单列明的特征，其分箱边界各方均知；其余特征的分箱边界只有特征所有方知道。",
    ),
    "col_bin": ("bin {k}", "箱 {k}"),
    "col_missing": ("missing", "缺失"),
    "own_breaks": ("Limits of {initiator}’s own bins", "{initiator}自有特征的分箱边界"),
    "col_breaks": ("Upper limits of the bins", "各箱上界"),
    # Weights
    "inference": ("The weights of the model", "模型的权重"),
    "inference_note": (
        "Logistic regression on WOE values: weights, standard errors, Wald’s z and p-value, and "
        "bounds of 95 % confidence. Features were chosen on the same rows, so p-values flatter "
        "them. Opened to {initiator} only.",
        "以 WOE 值为自变量的逻辑回归：权重、标准误、Wald z 值与 p 值，以及 95% 置信区间。特征由"
        "同一批数据选出，故 p 值偏乐观。只向{initiator}公开。",
    ),
    "intercept": ("intercept", "截距"),
    "col_weight": ("Weight", "权重"),
    "col_error": ("Standard error", "标准误"),
    "col_low": ("From", "下限"),
    "col_high": ("To", "上限"),
    # Reason codes
    "examples": ("Why an applicant gets its score", "申请企业得分的原因"),
    "examples_note": (
        "Some of {initiator}’s own businesses, held out of the training. The reasons are the "
        "features that lost most points against their best bin. Scores and reasons opened to "
        "{initiator} only; the features’ values and bins did not open.",
        "{initiator}自己的若干家企业，均未参加训练。原因代码是相对各自最佳分箱失分最多的特征。分数与"
        "原因只向{initiator}公开；特征取值与所在分箱均未公开。",
    ),
    "col_applicant": ("Applicant", "申请企业"),
    "col_score": ("Score", "分数"),
    "col_reasons": ("Reason codes, the heaviest first", "原因代码（失分从多到少）"),
    "no_reasons": ("nothing lost", "未失分"),
    # Calibration and stability
    "calibration": ("Does the score mean what it says", "分数是否名副其实"),
    "calibration_note": (
        "Default rate that the joint model expects, against the one observed in the test part, by "
        "ranges of the score.",
        "按分数段比较联合模型预期的违约率与测试部分实际违约率。",
    ),
    "col_range": ("Score", "分数段"),
    "col_expected": ("Expected", "预期违约率"),
    "col_observed": ("Observed", "实际违约率"),
    "below": ("below {points}", "{points} 以下"),
    "above": ("{points} and above", "{points} 及以上"),
    "psi": (
        "Population stability index between training and test part: {value} ({band}).",
        "训练部分与测试部分之间的群体稳定性指数（PSI）：{value}（{band}）。",
    ),
    "converged": ("Both trainings converged.", "两个模型的训练均已收敛。"),
    "not_converged": (
        "Did not converge: the training of {who}. More iterations, a larger penalty or another "
        "solver may help; until then its figures are those of a model that is not the best one.",
        "{who}的训练未收敛。可增加迭代次数、加大惩罚或更换求解器；在此之前，其各项指标并非最优模型的"
        "指标。",
    ),
    "weights_note": (
        "Training rows were weighted by {column}; all figures count businesses.",
        "训练样本按 {column} 加权；各项指标均按企业数计算。",
    ),
    "segments": ("How well the scores do in each segment", "各客群中的评分表现"),
    "segments_note": (
        "The held-out businesses by the values of {column}. Segments with fewer than {minimum} "
        "defaulted or repaid businesses are not opened, nor are others that would give them away. "
        "Opened to {initiator} only.",
        "按 {column} 的取值划分未参加训练的企业。违约或正常企业不足 {minimum} 家的客群，以及会泄露"
        "它们的客群均不公开。只向{initiator}公开。",
    ),
    "col_segment": ("Segment", "客群"),
    "psi_stable": ("stable", "稳定"),
    "psi_investigate": ("to be investigated", "需要关注"),
    "psi_shifted": ("shifted", "已漂移"),
    "col_good": ("Repaid", "正常数"),
    "col_ks": ("KS", "KS"),
    # Scores
    "scores": ("Where good and bad businesses score", "正常企业与违约企业的得分分布"),
    "scores_note": (
        "More points mean less risk. The less the two shapes overlap, the better the score.",
        "分数越高风险越低；两个图形重叠越少，评分越好。",
    ),
    "axis_score": ("score points", "分数"),
    "axis_share": ("share of class per 10 points", "每 10 分占本类企业的比例"),
    # Lift
    "lift": ("Bands, from the riskiest to the safest", "分段收益表，从风险最高到最低"),
    "lift_note": (
        "Bands of equal numbers of held-out businesses. Lift compares its default rate with "
        "the average of {rate}.",
        "各段检验企业数相等；提升度是该段违约率与平均违约率 {rate} 之比。",
    ),
    "col_band": ("Band", "分段"),
    "col_rows": ("Businesses", "企业数"),
    "col_bad": ("Defaulted", "违约数"),
    "col_rate": ("Default rate", "违约率"),
    "col_lift": ("Lift", "提升度"),
    "col_cum": ("Defaults found", "累计违约占比"),
    # Parties
    "parties": ("Who took part", "参与各方"),
    "party_rows": ("{rows} businesses", "{rows} 家企业"),
    "party_features": (
        "{features} features, {selected} in the model",
        "{features} 个特征，{selected} 个进入模型",
    ),
    "role_initiator": ("asks the question, owns the label", "发起方，持有违约标签"),
    "role_partner": ("contributes data and computes", "提供数据并参与计算"),
    "learned": ("Who learned what", "谁得知了什么"),
    "learned_nothing": ("Nothing.", "无。"),
    "unseen": ("What nobody saw", "谁也没有看到"),
    "unseen_data": (
        "another party’s identifiers, features or labels",
        "别方的企业标识、特征或标签",
    ),
    "unseen_match": (
        "which businesses the parties have in common",
        "各方之间具体有哪些共有企业",
    ),
    "unseen_counts": (
        "how many defaults fall into any bin of any feature",
        "任何特征的任何分箱中有多少违约",
    ),
    "unseen_counts_tables": (
        "how many defaults fall into any bin of any feature, but for the agreed bin tables",
        "除约定公开的分箱表外，任何特征的任何分箱中有多少违约",
    ),
    "unseen_weights": ("the weights of the model", "模型的权重"),
    "unseen_scores": (
        "the score of any single business, but for the stated examples",
        "所列示例之外任何一家企业的得分",
    ),
    # Cost
    "cost": ("What it cost", "花费了什么"),
    "cost_note": (
        "Seconds by the clock; rounds of messages; megabytes sent by a party (average); "
        "multiplications on shares.",
        "耗时（秒）、通信轮数、每方平均发送量（MB）、份额乘法次数。",
    ),
    "col_step": ("Step", "步骤"),
    "col_seconds": ("Seconds", "秒"),
    "col_rounds": ("Rounds", "轮数"),
    "col_mb": ("MB per party", "每方 MB"),
    "col_mul": ("Multiplications", "乘法次数"),
    "total": ("Total", "合计"),
    "memory": ("Peak memory per party", "各方内存峰值"),
    "step_connect": ("Connect", "建立连接"),
    "step_join": ("Secure join", "安全求交"),
    "step_woe_iv": ("WOE and IV", "WOE 与 IV"),
    "step_select": ("Select features", "筛选特征"),
    "step_scorecard": ("Scorecard and reason codes", "评分卡与原因代码"),
    "step_train_joint": ("Train the joint model", "训练联合模型"),
    "step_train_bank": ("Train {initiator}’s own model", "训练{initiator}单独模型"),
    "step_evaluate": ("Evaluate", "检验"),
    "step_open": ("Open the results", "公开结果"),
    # Accuracy
    "twin": ("The same in the clear", "与明文计算对照"),
    "twin_note": (
        "For this demonstration on one machine the same model was also trained openly on pooled "
        "rows (same bins, split and penalty), to check the arithmetic. In production no such pool "
        "exists.",
        "本演示在一台机器上运行，因此另用汇集的明文数据（相同的分箱、划分与惩罚）训练了同样的"
        "模型，用来核对计算；生产环境中不存在这样的汇集。",
    ),
    "twin_shares": ("on shares", "份额计算"),
    "twin_clear": ("in the clear", "明文计算"),
    "twin_difference": ("difference", "差异"),
    "twin_card": ("Points of the card, equal of all", "评分卡分值，一致数与总数"),
    "twin_iv": ("IV, largest difference over all features", "IV，所有特征中的最大差异"),
    # Evidence
    "evidence": ("Evidence", "证据"),
    "evidence_note": (
        "Every party approved exactly this manifest, checked that its own code has exactly this "
        "measurement, and signed a receipt. This is program approval, not hardware attestation.",
        "每一方都批准了这份任务清单，核对了本方代码的度量值，并签署了回执。"
        "这是程序批准，不是硬件证明。",
    ),
    "manifest": ("Manifest (SHA-256)", "任务清单（SHA-256）"),
    "measurement": ("Code measurement", "代码度量值"),
    "receipt": ("Receipt of {party}", "{party}的回执"),
    "signature": ("signature", "签名"),
    "outputs": ("outputs (SHA-256)", "输出（SHA-256）"),
    "machine": ("Machine", "机器"),
    # Words
    "words": ("Words", "名词解释"),
    "word_auc": (
        "AUC: the share of pairs (one defaulted, one repaid) that the score ranks correctly; "
        "0.5 is chance, 1 is perfect.",
        "AUC：一对企业（一家违约、一家正常）被正确排序的比例；0.5 为随机，1 为完美。",
    ),
    "word_ks": (
        "KS: the largest gap between the cumulative shares of defaulted and of repaid businesses.",
        "KS：违约与正常企业累计占比之间的最大差距。",
    ),
    "word_woe": (
        "WOE: the logarithm of the share of all defaults over the share of all repaid loans that "
        "fall into a bin.",
        "WOE：某分箱占全部违约的比例与占全部正常的比例之比的对数。",
    ),
    "word_iv": (
        "IV: what a feature’s bins say about default in all. Below 0.02 useless, to 0.1 weak, to "
        "0.3 medium, to 0.5 strong, above that suspicious.",
        "IV：一个特征的全部分箱所含的违约信息；低于 0.02 无用，至 0.1 弱，至 0.3 中，至 0.5 强，"
        "再高则可疑。",
    ),
    "word_share": (
        "Shares: random-looking pieces of a number, one per party. Any single piece says nothing; "
        "the parties compute on the pieces.",
        "份额：把一个数拆成看似随机的几片，每方一片；单独一片毫无意义，各方在碎片上共同计算。",
    ),
    # Parties with a known role
    "party_bank": ("the bank", "银行"),
    "party_government": ("the government data centre", "政府数据中心"),
    "party_fintech": ("the internet-finance company", "互联网金融公司"),
    "party_telecom": ("the telecom operator", "电信运营商"),
}


def text(key: str, language: str, **values: object) -> str:
    """One sentence in one language."""
    return TEXTS[key][LANGUAGES.index(language)].format(**values)


def party_text(name: str, language: str) -> str:
    """How a sentence calls a party: by its role if the name says it, else by its name."""
    key = f"party_{name}"
    return text(key, language) if key in TEXTS else name
