"""Ratios of a published table, formed in the clear from shown cells only.

Each function takes the document of `protocols.stats.release` and gives one value per cell, in the
same order: None wherever a cell that it needs is withheld.
"""

from __future__ import annotations

from typing import Any

from protocols.stats.spec import TOTAL

Document = dict[str, Any]


def value(cell: dict[str, Any], figure: str) -> int | None:
    """A figure of a cell, None where it is withheld."""
    return cell['values'].get(figure)


def mean(document: Document, measure: str) -> list[float | None]:
    """Mean of a measure over the rows of each cell."""
    return [_ratio(value(c, measure), value(c, 'rows')) for c in document['cells']]


def variance(document: Document, measure: str) -> list[float | None]:
    """Population variance of an amount; needs its sums of squares."""
    result: list[float | None] = []
    for c in document['cells']:
        rows, total = value(c, 'rows'), value(c, measure)
        squares = value(c, f'{measure}.squares')
        if not rows or total is None or squares is None:
            result.append(None)
        else:
            result.append((squares * rows - total * total) / rows ** 2)
    return result


def ratio(document: Document, numerator: str, denominator: str) -> list[float | None]:
    """One figure over another, such as flagged over outstanding credit."""
    return [_ratio(value(c, numerator), value(c, denominator)) for c in document['cells']]


def share_of(document: Document, measure: str, dimension: str,
             category: str = TOTAL) -> list[float | None]:
    """A cell's part of the total over one dimension, or of its figure in a category of it."""
    by_place = _places(document)
    result = []
    for c in document['cells']:
        whole = by_place.get(_key({**c['place'], dimension: category}))
        result.append(_ratio(value(c, measure), None if whole is None else value(whole, measure)))
    return result


def change(document: Document, measure: str, dimension: str, lag: int = 1) -> list[float | None]:
    """Relative change against the category `lag` places before, such as the same month a year ago.
    """
    by_place = _places(document)
    [order] = [d['categories'] for d in document['dimensions'] if d['name'] == dimension]
    result = []
    for c in document['cells']:
        at = c['place'][dimension]
        place = order.index(at) - lag if at in order else -1
        before = by_place[_key({**c['place'], dimension: order[place]})] if place >= 0 else None
        now, then = value(c, measure), None if before is None else value(before, measure)
        step = None if now is None or then is None else now - then
        result.append(_ratio(step, then))
    return result


def concentration(document: Document, measure: str) -> list[float | None]:
    """The Herfindahl-Hirschman index: Σ of squared shares of the contributors.

    Needs their squared sums as the extra figure `<measure>.contributor_squares`.
    """
    result = []
    for c in document['cells']:
        total, squares = value(c, measure), value(c, f'{measure}.contributor_squares')
        result.append(None if total is None else _ratio(squares, total * total))
    return result


def largest_share(document: Document, measure: str, k: int = 4) -> list[float | None]:
    """C4: the part of the k largest contributors; needs the extra figure `<measure>.largest_k`."""
    return [_ratio(value(c, f'{measure}.largest_{k}'), value(c, measure))
            for c in document['cells']]


def _places(document):
    return {_key(c['place']): c for c in document['cells']}


def _key(place):
    return tuple(sorted(place.items()))


def _ratio(a, b):
    return None if a is None or not b else a / b
