"""What a person is told to do: complete in both languages for every kind of alarm the engine knows (SAFETY S24)."""

import re
from pathlib import Path

import davylamp_cloud
import pytest
from davylamp_alarms.definition import LIMIT_KINDS, Kind, PointKind
from davylamp_cloud.handling import Handling, Origin, general, handling_of
from davylamp_cloud.handling.kinds import KINDS
from davylamp_cloud.handling.system import SYSTEM
from davylamp_cloud.monitor import REPLAY
from davylamp_cloud.settings import ASIDE
from davylamp_wire.point import Limit, Source, Text

SOURCE = Source(standard="GB/T 50493", basis="memory")
OWN = Text(zh="停进料泵 P-101", en="Stop feed pump P-101")
HAN = re.compile("[一-鿿]")


def all_general() -> dict[str, Handling]:
    """Return every general handling by what it is for."""
    limits = {f"{kind} of a {point} point": general(kind, point) for kind in sorted(LIMIT_KINDS) for point in PointKind}
    system = {f"SYSTEM {name or 'of any name'}": general(Kind.SYSTEM, name=name) for name in ("", *SYSTEM)}
    return limits | dict(KINDS) | system


@pytest.mark.parametrize("kind", list(Kind))
def test_s24_every_kind_of_alarm_says_how_it_is_handled(kind: Kind) -> None:
    known = kind in LIMIT_KINDS or kind is Kind.SYSTEM or kind in KINDS
    assert known, (
        f"{kind} alarms, and nobody is told what to do: give it cause, consequence, first action (zh, en) and "
        "respond_s in cloud/davylamp_cloud/handling/kinds.py, and its name in telling.KINDS"
    )
    assert general(kind).respond_s > 0


@pytest.mark.parametrize(("what", "handling"), all_general().items())
def test_s24_each_text_is_in_both_languages_and_short(what: str, handling: Handling) -> None:
    for text in (handling.cause, handling.consequence, handling.action):
        assert HAN.search(text.zh), what
        assert not HAN.search(text.en), what
        assert len(text.zh) <= 45, what
        assert len(text.en) <= 110, what


@pytest.mark.parametrize(("what", "handling"), all_general().items())
def test_s21_no_general_text_orders_an_evacuation_or_names_a_government_warning(what: str, handling: Handling) -> None:
    said = " ".join(f"{text.zh} {text.en}" for text in (handling.cause, handling.consequence, handling.action))
    assert not re.search("疏散|撤离|撤到|预警|evacuat|shelter", said, re.IGNORECASE), what


@pytest.mark.parametrize("point", list(PointKind))
def test_s24_the_higher_limit_leaves_no_more_time(point: PointKind) -> None:
    for urgent, earlier in ((Kind.HH, Kind.H), (Kind.LL, Kind.L), (Kind.L2, Kind.L1)):
        assert general(urgent, point).respond_s <= general(earlier, point).respond_s


def test_a_low_limit_of_a_gas_is_lack_of_oxygen() -> None:
    assert "氧" in general(Kind.L, PointKind.GAS).consequence.zh


def names_reported() -> set[str]:
    """Return the names by which the cloud's sources report alarms of the system itself."""
    sources = [path.read_text(encoding="utf-8") for path in Path(davylamp_cloud.__file__).parent.rglob("*.py")]
    told = (r'"op": "report", "name": "([\w-]+)"', r'^[A-Z_]+ = "([\w-]+)"\n"""Name of the alarm')
    return {name for text in sources for pattern in told for name in re.findall(pattern, text, re.MULTILINE)}


def test_s24_every_alarm_of_the_system_itself_has_words_of_its_own() -> None:
    named = names_reported() | {REPLAY}
    assert {"lag", ASIDE} <= named
    missing = named - set(SYSTEM)
    assert not missing, f"{missing}: write cause, consequence, action (zh, en) and respond_s in handling/system.py"


def test_an_alarm_of_the_system_is_known_by_its_name_and_an_unknown_name_gets_general_words() -> None:
    assert "晚到" in general(Kind.SYSTEM, name="lag").consequence.zh
    assert general(Kind.SYSTEM, name="something new") == general(Kind.SYSTEM)


def test_s24_what_a_limit_says_wins_and_general_words_fill_the_rest() -> None:
    limit = Limit(value=1, source=SOURCE, action=OWN, respond_s=45)
    found = handling_of(Kind.L2, PointKind.GAS, limit)
    assert (found.action, found.respond_s, found.origin) == (OWN, 45, Origin.PROFILE)
    assert found.cause == general(Kind.L2, PointKind.GAS).cause


def test_s30_a_limit_without_a_first_action_is_marked_and_still_says_what_to_do() -> None:
    found = handling_of(Kind.L2, PointKind.GAS, Limit(value=1, source=SOURCE))
    assert found.origin is Origin.MISSING
    assert found.action == general(Kind.L2, PointKind.GAS).action


def test_what_has_no_limit_is_handled_by_built_in_words_that_are_not_called_missing() -> None:
    assert handling_of(Kind.FAULT, PointKind.GAS, None).origin is Origin.BUILT_IN
