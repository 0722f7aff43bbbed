"""Identifiers in the form in which parties compare them, by profiles that a manifest names.

A profile is a list of rules. Some rules change a value (width, white space, case), the others
reject it (alphabet, length, check character). Every owner applies the agreed profile to its own
rows before anything is tagged, so two spellings of one identifier match, and a mistyped code is
found before the job instead of silently not matching. What comes out is counts per rule and the
positions of rejected rows, for the owner alone; values are in no report and in no error.

Profiles: `plain` for codes of any kind, `credit-code` (GB 32100-2015), `registration-number` (GS
15-2006), `company-number` for a column that holds both, `phone` for numbers of mainland China,
`text` for names. Every profile is idempotent. Several columns make one key by length-prefixed
parts, so ('ab', 'c') and ('a', 'bc') stay apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

CREDIT_ALPHABET = '0123456789ABCDEFGHJKLMNPQRTUWXY'
"""The 31 characters of a unified social credit code: I, O, S, V and Z are left out."""

_CREDIT_WEIGHTS = np.array([pow(3, i, 31) for i in range(17)] + [1])
_CREDIT_VALUES = np.full(128, 255, np.uint8)
_CREDIT_VALUES[[ord(c) for c in CREDIT_ALPHABET]] = np.arange(31)

_SEPARATORS = re.compile(r'[\s\-\u2010-\u2015\u2212._/()\u00b7]+')
_MOBILE = re.compile(r'0?(1[3-9]\d{9})', re.ASCII)
_LANDLINE = re.compile(r'0(?:10|2\d)[2-8]\d{7}|0[3-9]\d\d[2-8]\d{6,7}', re.ASCII)
_SERVICE = re.compile(r'[48]00\d{7}', re.ASCII)


# --- check characters ---

def credit_check_character(body: str) -> str:
    """The 18th character for the first 17 (GB 32100-2015, 4.2): the weighted sum is 0 mod 31.

    Finds every single wrong character and every swap of two, except the first with the last,
    which have the same weight. Raises ValueError for other lengths or characters.
    """
    values = [CREDIT_ALPHABET.find(c) for c in body]
    if len(body) != 17 or min(values) < 0:
        raise ValueError(f'got {len(body)} characters, expected 17 of the code alphabet')
    total = sum(v * int(w) for v, w in zip(values, _CREDIT_WEIGHTS, strict=False))
    return CREDIT_ALPHABET[-total % 31]


def registration_check_digit(body: str) -> str:
    """The 15th digit for the first 14 (GS 15-2006; ISO 7064 MOD 11,10).

    Finds every single wrong digit and all but about 2 % of the swaps of neighbours. Raises
    ValueError for other lengths or characters.
    """
    if len(body) != 14 or not (body.isascii() and body.isdigit()):
        raise ValueError(f'got {len(body)} characters, expected 14 digits')
    product = 10
    for digit in body:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


# --- rules that change a value: text to text ---

def _width(text: str) -> str:
    return unicodedata.normalize('NFKC', text)


def _upper(text: str) -> str:
    # Upper case may come out decomposed (ΐ), hence the second normalisation.
    return unicodedata.normalize('NFKC', text.upper())


def _fold(text: str) -> str:
    return unicodedata.normalize('NFKC', text.casefold())


def _visible(text: str) -> str:
    """Without format and control characters: zero-width spaces, byte-order and direction marks."""
    if text.isprintable():
        return text
    return ''.join(c for c in text if c.isspace() or unicodedata.category(c)[0] != 'C')


def _joined(text: str) -> str:
    return _SEPARATORS.sub('', text)


def _words(text: str) -> str:
    """Letters, digits and marks, one space between words; all punctuation is a space."""
    return ' '.join(''.join(c if unicodedata.category(c)[0] in 'LNM' else ' '
                            for c in text).split())


def _national(text: str) -> str:
    """A phone number without +86 and with the area code's 0, if it is one of mainland China."""
    rest = re.sub(r'^(\+86|0086|86)', '', text)
    for number in (text, rest) if rest == text else (rest, '0' + rest, text):
        if mobile := _MOBILE.fullmatch(number):
            return mobile[1]
        if _LANDLINE.fullmatch(number) or _SERVICE.fullmatch(number):
            return number
    return text


# --- rules that reject: columns to masks, on text that earlier rules did not reject ---

def _long(limit: int) -> Callable[[list[str]], npt.NDArray[np.bool_]]:
    return lambda texts: _sizes(texts) > limit


def _spaces_inside(texts: list[str]) -> npt.NDArray[np.bool_]:
    def wrong(text: str) -> bool:
        if text.isascii() and text.isalnum():
            return False
        return any(c.isspace() or unicodedata.category(c)[0] == 'C' for c in text)
    return np.array([wrong(t) for t in texts], bool)


def _not_of(alphabet: str) -> Callable[[list[str]], npt.NDArray[np.bool_]]:
    pattern = re.compile(f'[{alphabet}]*')

    def wrong(texts: list[str]) -> npt.NDArray[np.bool_]:
        if pattern.fullmatch(''.join(texts)):
            return np.zeros(len(texts), bool)
        return np.array([not pattern.fullmatch(t) for t in texts], bool)
    return wrong


def _length(*allowed: int) -> Callable[[list[str]], npt.NDArray[np.bool_]]:
    return lambda texts: ~np.isin(_sizes(texts), allowed)


def _sizes(texts: list[str]) -> npt.NDArray[np.int64]:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _not_digits(texts: list[str]) -> npt.NDArray[np.bool_]:
    """A number of 15 characters is an old registration number: digits only."""
    return np.array([len(t) == 15 and not t.isdigit() for t in texts], bool)


def _check_character(texts: list[str]) -> npt.NDArray[np.bool_]:
    """Wrong check characters of codes with 18 and numbers with 15 characters, as whole columns."""
    wrong = np.zeros(len(texts), bool)
    sizes = _sizes(texts)
    for size, check in ((18, _wrong_credit), (15, _wrong_registration)):
        where = np.flatnonzero(sizes == size)
        joined = ''.join(texts[i] for i in where).encode('ascii')
        wrong[where] = check(np.frombuffer(joined, np.uint8).reshape(len(where), size))
    return wrong


def _wrong_credit(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return (_CREDIT_VALUES[codes].astype(np.int64) @ _CREDIT_WEIGHTS) % 31 != 0


def _wrong_registration(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    product = np.full(len(codes), 10)
    for digits in codes.T[:14]:
        product = (product + (digits - ord('0'))) % 10
        product = np.where(product == 0, 10, product) * 2 % 11
    return (11 - product) % 10 != codes[:, 14] - ord('0')


def _no_number(texts: list[str]) -> npt.NDArray[np.bool_]:
    return np.array([not (_MOBILE.fullmatch(t) or _LANDLINE.fullmatch(t) or _SERVICE.fullmatch(t))
                     for t in texts], bool)


# --- profiles ---

@dataclass(frozen=True)
class Profile:
    """Rules by name, in order: first all that change, then all that reject."""

    expected: str
    change: dict[str, Callable[[str], str]]
    reject: dict[str, Callable[[list[str]], npt.NDArray[np.bool_]]]


_IDLE: dict[str, Callable[[str], bool]] = {
    'width': str.isascii, 'white-space': str.isalnum, 'invisible': str.isprintable,
    'separators': str.isalnum, 'punctuation': str.isalnum}
"""Whether a rule leaves a whole column alone, asked of the column as one text: most columns of
codes hold nothing but codes, and need no work per row."""

_CODE: dict[str, Callable[[str], str]] = {
    'width': _width, 'invisible': _visible, 'separators': _joined, 'case': _upper}

PROFILES: dict[str, Profile] = {
    'plain': Profile(
        'at most 64 characters, without white space or control characters inside',
        {'width': _width, 'white-space': str.strip, 'case': _upper},
        {'length': _long(64), 'characters': _spaces_inside}),
    'credit-code': Profile(
        '18 characters with a valid check character, without I, O, S, V, Z (GB 32100-2015)',
        _CODE,
        {'length': _length(18), 'characters': _not_of(CREDIT_ALPHABET),
         'check-character': _check_character}),
    'registration-number': Profile(
        '15 digits with a valid check digit (GS 15-2006)',
        _CODE,
        {'length': _length(15), 'characters': _not_of('0-9'),
         'check-character': _check_character}),
    'company-number': Profile(
        'a unified social credit code (18 characters) or a registration number (15 digits), with '
        'a valid check character',
        _CODE,
        {'length': _length(15, 18), 'characters': _not_of(CREDIT_ALPHABET),
         'digits': _not_digits, 'check-character': _check_character}),
    'phone': Profile(
        'a mobile number (11 digits) or a landline number with its area code, with or without +86',
        {'width': _width, 'invisible': _visible, 'separators': _joined,
         'country-code': _national},
        {'number': _no_number}),
    'text': Profile(
        'at most 256 letters and digits',
        {'width': _width, 'invisible': _visible, 'case': _fold, 'punctuation': _words},
        {'length': _long(256)}),
}
"""What a manifest can name. The measurement of the code fixes what a name means."""


@dataclass(frozen=True)
class Report:
    """What normalisation did to a column, or to the columns of a composite key: counts only.

    `changed` and `rejected` map a rule to rows; a row counts under every rule that changed it and
    under the first that rejected it. `missing` rows had no value. `duplicates` are rows whose
    normalised identifier occurs in an earlier row.
    """

    rows: int
    missing: int
    duplicates: int
    changed: dict[str, int]
    rejected: dict[str, int]


@dataclass(frozen=True, eq=False)
class Identifiers:
    """Normalised identifiers of one owner, '' where a row has none, and why.

    `missing`, `rejected` (by rule) and `duplicates` are zero-based row positions.
    """

    ids: npt.NDArray[np.object_]
    missing: npt.NDArray[np.int64]
    rejected: dict[str, npt.NDArray[np.int64]]
    duplicates: npt.NDArray[np.int64]
    changed: dict[str, int] = field(default_factory=dict)

    @property
    def report(self) -> Report:
        """The counts, for the data check."""
        return Report(len(self.ids), self.missing.size, self.duplicates.size, dict(self.changed),
                      {rule: rows.size for rule, rows in self.rejected.items()})

    def __repr__(self) -> str:
        # A default repr would print identifiers into logs and tracebacks.
        return f'Identifiers({self.report!r})'


def normalise(values: Sequence[str | None], profile: str) -> Identifiers:
    """The identifiers of a column under a profile of `PROFILES`.

    Raises ValueError for an unknown profile.
    """
    if profile not in PROFILES:
        raise ValueError(f'identifier profile {profile!r}, expected one of {", ".join(PROFILES)}')
    rules = PROFILES[profile]
    texts = [v if v is not None else '' for v in values]
    changed: dict[str, int] = {}
    for rule, apply in rules.change.items():
        changed[rule] = 0
        if rule in _IDLE and _IDLE[rule](''.join(texts)):
            continue
        after = [apply(t) for t in texts]
        changed[rule] = sum(a != b for a, b in zip(texts, after, strict=True))
        texts = after
    present = np.array([bool(t) for t in texts], bool)
    missing = np.flatnonzero(~present)
    rejected: dict[str, npt.NDArray[np.int64]] = {}
    for rule, wrong in rules.reject.items():
        left = np.flatnonzero(present)
        rejected[rule] = left[wrong([texts[i] for i in left])]
        present[rejected[rule]] = False
    ids = np.array(texts, dtype=object)
    ids[~present] = ''
    return Identifiers(ids, missing, rejected, _repeated(ids), changed)


def composite(columns: dict[str, Identifiers]) -> Identifiers:
    """One key of several normalised columns of the same rows; '' where any part is ''.

    Every part is preceded by its length, so different parts never make the same key. Rules are
    reported as `column: rule`; a row without a part is missing once, or rejected by that rule.
    """
    parts = list(columns.values())
    if not parts or len({len(p.ids) for p in parts}) > 1:
        raise ValueError(f'columns of {[len(p.ids) for p in parts]} rows, expected one or more '
                         'columns of the same rows')
    ids = np.array([''.join(f'{len(p)}:{p}' for p in row) if all(row) else ''
                    for row in zip(*(p.ids for p in parts), strict=True)], dtype=object)
    missing = np.unique(np.concatenate([p.missing for p in parts]))
    taken = set(missing.tolist())
    rejected = {}
    for name, part in columns.items():
        for rule, rows in part.rejected.items():
            rejected[f'{name}: {rule}'] = np.array([r for r in rows if r not in taken], np.int64)
            taken.update(rows.tolist())
    changed = {f'{name}: {rule}': count for name, part in columns.items()
               for rule, count in part.changed.items()}
    return Identifiers(ids, missing, rejected, _repeated(ids), changed)


def _repeated(ids: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    seen: dict[str, int] = {}
    if len(set(ids)) == len(ids):
        return np.empty(0, np.int64)
    return np.array([row for row, text in enumerate(ids)
                     if text and seen.setdefault(text, row) != row], np.int64)
