"""Identifiers: codes of the standards, every profile idempotent, counts instead of values."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.identifiers import (
    CREDIT_ALPHABET,
    PROFILES,
    composite,
    credit_check_character,
    normalise,
    registration_check_digit,
)

bodies = st.text(CREDIT_ALPHABET, min_size=17, max_size=17)
numbers = st.text('0123456789', min_size=14, max_size=14)


def one(text, profile):
    """The normalised text, or None and the rule that rejected it."""
    result = normalise([text], profile)
    if result.ids[0]:
        return result.ids[0]
    return [rule for rule, rows in result.rejected.items() if rows.size] or ['missing']


def accepted(text, profile):
    return one(text, profile) == text


# --- golden codes ---

def test_the_worked_example_of_gb_32100():
    assert credit_check_character('91350100M000100Y4') == '3'
    assert accepted('91350100M000100Y43', 'credit-code')
    # A widespread copy of the example ends in Z, which is no character of the alphabet.
    assert one('91350100M000100Y4Z', 'credit-code') == ['characters']
    assert one('91350100M000100Y44', 'credit-code') == ['check-character']


def test_weights_of_gb_32100():
    """3^(i-1) mod 31 as printed in the standard, read off the check characters."""
    printed = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28]
    for i, weight in enumerate(printed):
        body = '0' * i + '1' + '0' * (16 - i)
        assert CREDIT_ALPHABET.index(credit_check_character(body)) == 31 - weight
    assert credit_check_character('0' * 17) == '0'


def test_a_well_known_registration_number():
    assert registration_check_digit('11010800000001') == '6'
    assert accepted('110108000000016', 'registration-number')
    assert accepted('110108000000016', 'company-number')
    assert one('110108000000017', 'company-number') == ['check-character']


@pytest.mark.parametrize('written', [
    '91350100m000100y43', ' 91350100M000100Y43\n', '91350100-M000100Y-43', '91350100 M000100Y 43',
    '９１３５０１００Ｍ０００１００Ｙ４３', '\ufeff91350100M000100Y43', '91350100M0\u200b00100Y43',
])
@pytest.mark.parametrize('profile', ['credit-code', 'company-number'])
def test_spellings_of_one_code(written, profile):
    assert one(written, profile) == '91350100M000100Y43'


@pytest.mark.parametrize('written, rule', [
    ('', 'missing'), (None, 'missing'), (' - ', 'missing'), ('9135', 'length'),
    ('9135010OM000100Y43', 'characters'), ('91350100M000100Y4３１', 'length'),
    ('91350100M000100Y4中', 'characters'), ('91350100M000100Y40', 'check-character'),
])
def test_codes_that_are_rejected(written, rule):
    assert one(written, 'credit-code') == [rule]


def test_fifteen_characters_of_a_company_are_digits():
    assert one('11010800000001A', 'company-number') == ['digits']
    assert one('110108000000016', 'credit-code') == ['length']


@pytest.mark.parametrize('written, number', [
    ('13800138000', '13800138000'), ('+86 138-0013-8000', '13800138000'),
    ('008613800138000', '13800138000'), ('86 138 0013 8000', '13800138000'),
    ('013800138000', '13800138000'), ('１３８００１３８０００', '13800138000'),
    ('(010) 8888 8888', '01088888888'), ('+86 10 8888 8888', '01088888888'),
    ('+86 (0)10 8888-8888', '01088888888'), ('86-010-88888888', '01088888888'),
    ('0755-26000000', '075526000000'), ('+86 755 2600 0000', '075526000000'),
    ('0471-6200000', '04716200000'), ('400-810-0000', '4008100000'),
    ('+86 400 810 0000', '4008100000'),
])
def test_phone_numbers(written, number):
    assert one(written, 'phone') == number
    assert one(number, 'phone') == number


@pytest.mark.parametrize('written', [
    '88888888', '12800138000', '1380013800', '138001380000', '+1 212 555 0100', '+85221234567',
    '010-1888888', '010-88888888 转 8', 'abc', '+', '+86', '٠١٣٨٠٠١٣٨٠٠٠', '8613800138',
])
def test_numbers_that_are_none(written):
    assert one(written, 'phone') == ['number']


@pytest.mark.parametrize('written, name', [
    ('北京市 某某（集团）有限公司', '北京市 某某 集团 有限公司'),
    ('  ACME  Co., Ltd.\t', 'acme co ltd'), ('ＡＣＭＥ', 'acme'), ('Straße', 'strasse'),
    ('\u200bA\u00adB', 'ab'), ('café', 'café'), ('cafe\u0301', 'café'), ('①号', '1号'),
])
def test_free_text(written, name):
    assert one(written, 'text') == name


def test_plain_is_what_the_data_check_always_did():
    assert one(' Ａb１　', 'plain') == 'AB1'
    assert one('A B', 'plain') == one('A\u200bB', 'plain') == ['characters']
    assert one('A' * 65, 'plain') == ['length'] and accepted('A' * 64, 'plain')
    assert accepted('C-00/1.x'.upper(), 'plain')


# --- properties ---

@pytest.mark.parametrize('profile', PROFILES)
def test_idempotent_on_every_character(profile):
    characters = [chr(c) for c in range(sys.maxunicode + 1)]
    once = normalise(characters, profile)
    again = normalise(once.ids.tolist(), profile)
    assert np.array_equal(once.ids, again.ids)
    assert not any(rows.size for rows in again.rejected.values())


@pytest.mark.parametrize('profile', PROFILES)
@given(values=st.lists(st.one_of(
    st.none(), st.text(), bodies.map(lambda b: b + credit_check_character(b)),
    numbers.map(lambda b: b + registration_check_digit(b)),
    st.from_regex(r'(\+86|0086|86)?[ -]?0?[1-9][0-9]{8,10}', fullmatch=True))))
def test_idempotent_and_everything_is_counted(profile, values):
    once = normalise(values, profile)
    again = normalise(once.ids.tolist(), profile)
    assert np.array_equal(once.ids, again.ids)
    assert not any(again.changed.values())
    report = once.report
    kept = sum(bool(i) for i in once.ids)
    assert report.rows == len(values) == report.missing + sum(report.rejected.values()) + kept
    assert report.duplicates == kept - len({i for i in once.ids if i})
    # A row alone and in a column is treated alike.
    assert [normalise([v], profile).ids[0] for v in values] == once.ids.tolist()


@given(body=bodies, place=st.integers(0, 17), other=st.sampled_from(CREDIT_ALPHABET))
def test_every_single_wrong_character_shows(body, place, other):
    code = body + credit_check_character(body)
    wrong = code[:place] + other + code[place + 1:]
    assert accepted(wrong, 'credit-code') == (wrong == code)


@given(body=bodies)
def test_every_swap_shows_but_that_of_first_and_last(body):
    code = body + credit_check_character(body)
    swaps = {}
    for i, j in itertools.combinations(range(18), 2):
        swapped = list(code)
        swapped[i], swapped[j] = code[j], code[i]
        swaps[i, j] = ''.join(swapped)
    valid = {k: bool(v) for k, v in
             zip(swaps, normalise(list(swaps.values()), 'credit-code').ids, strict=True)}
    assert all(valid[k] == (swaps[k] == code or k == (0, 17)) for k in swaps)


@given(body=numbers, place=st.integers(0, 14), other=st.sampled_from('0123456789'))
def test_every_single_wrong_digit_shows(body, place, other):
    code = body + registration_check_digit(body)
    wrong = code[:place] + other + code[place + 1:]
    assert accepted(wrong, 'registration-number') == (wrong == code)


def test_nearly_all_swaps_of_neighbouring_digits_show():
    rng = np.random.default_rng(3)
    codes, swapped = [], []
    for digits in rng.integers(0, 10, (500, 14)):
        body = ''.join(map(str, digits))
        code = body + registration_check_digit(body)
        for i in range(14):
            if code[i] != code[i + 1]:
                swapped.append(code[:i] + code[i + 1] + code[i] + code[i + 2:])
        codes.append(code)
    assert normalise(codes, 'registration-number').report.rejected['check-character'] == 0
    missed = sum(bool(i) for i in normalise(swapped, 'registration-number').ids)
    assert 0 < missed < 0.03 * len(swapped)


# --- composite keys, reports ---

def test_composite_keys():
    city = normalise(['x', 'x', 'xy', '', 'a b'], 'plain')
    name = normalise(['yz', 'YZ', 'z', 'q', 'q'], 'plain')
    key = composite({'city': city, 'name': name})
    assert key.ids.tolist() == ['1:X2:YZ', '1:X2:YZ', '2:XY1:Z', '', '']
    assert key.duplicates.tolist() == [1]
    assert key.missing.tolist() == [3]
    assert key.rejected['city: characters'].tolist() == [4]
    assert key.report.changed['name: case'] == 4
    with pytest.raises(ValueError, match=r'\[5, 1\] rows'):
        composite({'city': city, 'name': normalise(['a'], 'plain')})
    with pytest.raises(ValueError, match='one or more'):
        composite({})


texts = st.text(st.characters(codec='utf-8'), min_size=1, max_size=6)


@given(st.lists(st.tuples(texts, texts, texts), min_size=2, max_size=2))
def test_different_parts_never_make_the_same_key(rows):
    columns = {str(k): normalise([row[k] for row in rows], 'text') for k in range(3)}
    parts = list(zip(*(c.ids for c in columns.values()), strict=True))
    first, second = composite(columns).ids
    if all(parts[0]) and all(parts[1]):
        assert (first == second) == (parts[0] == parts[1])


def test_one_row_rejected_in_two_columns_counts_once():
    bad = normalise(['a b', None], 'plain')
    key = composite({'one': bad, 'two': bad})
    assert key.report.missing == 1
    assert key.report.rejected['one: characters'] == 1
    assert key.report.rejected['two: characters'] == 0


def test_reports_hold_counts_and_no_values():
    values = ['91350100m000100y43', '91350100M000100Y43', None, 'SECRET', '91350100M000100Y44']
    result = normalise(values, 'credit-code')
    report = result.report
    assert (report.rows, report.missing, report.duplicates) == (5, 1, 1)
    assert report.changed == {'width': 0, 'invisible': 0, 'separators': 0, 'case': 1}
    assert report.rejected == {'length': 1, 'characters': 0, 'check-character': 1}
    assert '9135' not in repr(result) and 'SECRET' not in repr(result)


def test_unknown_profiles_are_named():
    with pytest.raises(ValueError, match="'tax', expected one of plain, credit-code"):
        normalise([], 'tax')


def test_empty_columns():
    for profile in PROFILES:
        assert normalise([], profile).report.rows == 0
