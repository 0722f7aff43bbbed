"""Who learns what from a job that finds common businesses, in sentences, English and Chinese.

From the manifest alone. The sentences stand in the manifest itself, where nodes compare them with
these, so a person approves what will happen and not what a proposer claims.
"""

from dataclasses import dataclass

from parties.join_terms import task_of
from parties.manifest import Manifest, Output
from parties.stated import Stated

EN, ZH = 0, 1


@dataclass(frozen=True)
class Told:
    """One sentence in both languages, and the party it is about (None: everybody)."""

    party: str | None
    en: str
    zh: str


def told(manifest: Manifest) -> list[Told]:
    """All that anybody learns; ValueError for a join that nobody could run."""
    return [*_results(manifest), *_watched(manifest), *_public(manifest)]


def stated(manifest: Manifest, models: object = None) -> Stated:
    """What the manifest has to say; ValueError for a join that nobody could run."""
    return Stated(_outputs(manifest), disclosures(manifest))


def disclosures(manifest: Manifest) -> tuple[str, ...]:
    """The sentences for the manifest: the English ones, then the Chinese ones."""
    sentences = told(manifest)
    english = [f"{one.party or 'Everybody'} {one.en}" for one in sentences]
    return (*english, *(f"{one.party or '所有参与方'}{one.zh}" for one in sentences))


def _outputs(manifest: Manifest) -> dict[str, Output]:
    """The outputs, their receivers, and what these learn."""
    names, found = manifest.compute, task_of(manifest).outputs
    return {
        output: Output(
            receivers=tuple(names[p] for p in parties),
            meaning=f"Each receiver {_meaning(manifest, output)[0]}.",
        )
        for output, parties in found.items()
    }


def _meaning(manifest: Manifest, output: str) -> tuple[str, str]:
    """What a receiver learns from an output, without its name: English, Chinese."""
    join = manifest.join
    assert join is not None
    initiator = manifest.initiator
    owners = [initiator, *(join.required or join.helpers)]
    others = [name for name in owners if name != initiator]
    everyone, alle = _and(owners), "、".join(owners)
    if output == "identifiers":
        return (
            f"learns which of its own businesses {everyone} all have, and nothing about the rest",
            f"得知自己的哪些企业是{alle}共有的，对其余企业一无所知",
        )
    if output == "rows_each":
        return (
            f"learns for {_and(others)} how many of {initiator}'s businesses it has, not which",
            f"分别得知{'、'.join(others)}各有多少家{initiator}的企业，但不知道是哪些",
        )
    return (
        f"learns how many businesses {everyone} have in common, not which",
        f"得知{alle}有多少家共同的企业，但不知道是哪些",
    )


def _results(manifest: Manifest) -> list[Told]:
    names = manifest.compute
    found = []
    for output, receivers in task_of(manifest).outputs.items():
        for party in receivers:
            en, zh = _meaning(manifest, output)
            if output == "identifiers" or (manifest.join and manifest.join.mode == "ecdh"):
                en += "; with guessed identifiers in its list it could test those"
                zh += "；若在其列表中放入猜测的标识，也能检验这些标识"
            found.append(Told(names[party], f"{en}.", f"{zh}。"))
    return found


def _watched(manifest: Manifest) -> list[Told]:
    """What helpers see besides, each of them alone."""
    names, found = manifest.compute, []
    pairs, overlaps = task_of(manifest).watchers()
    for party, seen in sorted(pairs.items()):
        for left, right in seen:
            found.append(
                Told(
                    names[party],
                    f"learns, as a helper, how many businesses {names[left]} and {names[right]} "
                    "have in common, not which.",
                    f"作为协助方，得知{names[left]}与{names[right]}有多少家共同的企业，"
                    "但不知道是哪些。",
                )
            )
        for owner, others in overlaps.get(party, []):
            them = [names[other] for other in others]
            found.append(
                Told(
                    names[party],
                    f"learns, as a helper, how many of {names[owner]}'s businesses {_and(them)} "
                    "both have, not which.",
                    f"作为协助方，得知{names[owner]}的企业中有多少家同时为{'与'.join(them)}所有，"
                    "但不知道是哪些。",
                )
            )
    return found


def _public(manifest: Manifest) -> list[Told]:
    """What everybody learns, and what nobody does unless two collude."""
    join, tables = manifest.join, manifest.tables
    assert join is not None
    sizes = ", ".join(
        f"{name} {'at most ' if i.padded else ''}{i.rows}" for name, i in tables.items()
    )
    sizes_zh = "、".join(
        f"{name}{'至多' if i.padded else ''}{i.rows}行" for name, i in tables.items()
    )
    found = [
        Told(
            None,
            f"knows from the manifest the sizes of the lists ({sizes}) and the names of the "
            "columns, and sees when each step begins and ends.",
            f"从作业清单得知各列表的大小（{sizes_zh}）和列名，并看到各步骤何时开始、何时结束。",
        )
    ]
    if join.bound is not None:
        found.append(
            Told(
                None,
                f"learns whether there are more than {join.bound} common businesses: then the job "
                "stops.",
                f"得知共同的企业是否多于{join.bound}家：若是，作业即停止。",
            )
        )
    if join.mode == "shared":
        found.append(
            Told(
                None,
                "gets shares of the joined rows; no identifier, no match and no value opens, "
                "unless two parties collude: they can open all that is shared.",
                "得到已求交各行的份额；任何标识、匹配或数值都不公开，"
                "除非两方合谋：合谋的两方可以还原所有共享的数据。",
            )
        )
    if join.mode != "ecdh":
        found.append(
            Told(
                None,
                "can, as a helper that colludes with an owner, test guessed identifiers against "
                "the list of the other owner; no party alone can.",
                "若作为协助方与一方所有者合谋，可以用猜测的标识去检验另一方的列表；任何单独一方都做不到。",
            )
        )
    return found


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
