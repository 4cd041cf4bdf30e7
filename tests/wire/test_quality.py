"""Quality codes, and what strangers are told of them."""

import pytest
from davylamp_wire.quality import GOOD, Level, Reason, bad, code, from_sparkplug, level, reason, to_sparkplug, uncertain

CODES = [code(one, why) for one in (Level.UNCERTAIN, Level.BAD) for why in Reason]


@pytest.mark.parametrize("quality", CODES)
def test_a_code_tells_its_level_and_reason(quality: int) -> None:
    assert code(level(quality), reason(quality)) == quality
    assert 0 < quality < 1 << 16


@pytest.mark.parametrize("quality", CODES)
def test_s04_what_is_not_good_is_not_good_to_a_stranger_either(quality: int) -> None:
    assert to_sparkplug(quality) in (0, 500)
    assert level(from_sparkplug(to_sparkplug(quality))) is Level.BAD


def test_good_stays_good_both_ways() -> None:
    assert to_sparkplug(GOOD) == 192
    assert from_sparkplug(192) == GOOD


def test_stale_has_a_number_of_its_own() -> None:
    assert to_sparkplug(bad(Reason.STALE)) == 500
    assert from_sparkplug(500) == bad(Reason.STALE)
    assert to_sparkplug(uncertain(Reason.COMM)) == 0


def test_a_number_the_standard_does_not_know_is_bad() -> None:
    assert level(from_sparkplug(191)) is Level.BAD


def test_reasons_keep_their_numbers_because_they_are_on_disk() -> None:
    assert [(why.name, why.value) for why in Reason][:6] == [
        ("NONE", 0),
        ("COMM", 1),
        ("DEVICE_EXCEPTION", 2),
        ("LOOP_LOW", 3),
        ("LOOP_HIGH", 4),
        ("OVER_RANGE", 5),
    ]
    assert [why.value for why in Reason] == list(range(16))
