"""Which way to the broker is taken, with a clock that tests move."""

from typing import Any

import pytest
from davylamp_edge.config import BrokerConfig
from davylamp_edge.ways import FIRST, LONGEST_BACK_S, STANDBY, STOOD_S, Ways
from pydantic import ValidationError

BACK_S = 300.0


class Clock:
    """A monotonic clock."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def move(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def broker(**standby: Any) -> BrokerConfig:
    table = {"host": "192.0.2.1", "interface": "eth0", "standby": {"interface": "wwan0", **standby}}
    return BrokerConfig.model_validate(table)


def on_standby(clock: Clock, **standby: Any) -> Ways:
    """Return ways whose first was lost after standing for long."""
    ways = Ways(broker(back_after_s=BACK_S, **standby), clock)
    ways.connected()
    clock.move(STOOD_S)
    assert ways.failed("connection lost")
    ways.connected()
    return ways


def lose_again(ways: Ways, clock: Clock) -> None:
    """Go back to the first way and lose it at once."""
    ways.go_back()
    ways.connected()
    clock.move(1.0)
    ways.failed("connection lost")
    ways.connected()
    ways.probed(ways.all[0], "")


def test_the_other_way_is_tried_at_once_and_a_pause_follows_when_both_have_failed(clock: Clock) -> None:
    ways = Ways(broker(), clock)
    tried = []
    for _ in range(4):
        tried.append((ways.current.name, ways.failed("refused")))
    assert tried == [(FIRST, True), (STANDBY, False), (FIRST, True), (STANDBY, False)]


def test_connections_that_end_at_once_are_followed_by_pauses_all_the_same(clock: Clock) -> None:
    """Two agents with one name throw each other out of the broker; without a pause they would do nothing else."""
    ways = Ways(broker(), clock)
    at_once = []
    for _ in range(4):
        ways.connected()
        at_once.append(ways.failed("session taken over"))
    assert at_once == [True, False, True, False]


def test_the_first_way_is_taken_again_once_it_was_well_for_long_enough(clock: Clock) -> None:
    ways = on_standby(clock)
    first = ways.all[0]
    assert (ways.current.name, ways.idle) == (STANDBY, first)
    clock.move(BACK_S)
    assert not ways.due_back(), "lost, and no probe has said otherwise"
    ways.probed(first, "")
    clock.move(BACK_S - 1)
    ways.probed(first, "no answer")
    ways.probed(first, "")
    clock.move(BACK_S - 1)
    assert not ways.due_back(), "well again, but not for long enough"
    clock.move(1)
    assert ways.due_back()
    ways.go_back()
    assert ways.current is first
    assert not ways.due_back()
    ways.connected()
    assert ways.changes == 2


def test_a_first_way_that_is_lost_again_soon_is_trusted_half_as_quickly(clock: Clock) -> None:
    ways = on_standby(clock)
    lose_again(ways, clock)
    clock.move(2 * BACK_S - 1)
    assert not ways.due_back()
    clock.move(1)
    assert ways.due_back()
    for _ in range(9):
        lose_again(ways, clock)
    clock.move(LONGEST_BACK_S)
    assert ways.due_back(), "never slower than an hour"


def test_a_probe_says_nothing_about_the_way_that_carries_the_session(clock: Clock) -> None:
    ways = on_standby(clock)
    ways.probed(ways.current, "no answer")
    assert [(fares.way.name, fares.well, fares.taken) for fares in ways.fares()] == [
        (FIRST, False, False),
        (STANDBY, True, True),
    ]


def test_an_edge_with_one_way_has_no_choice(clock: Clock) -> None:
    ways = Ways(BrokerConfig(host="192.0.2.1"), clock)
    ways.connected()
    assert not ways.failed("connection lost")
    assert (ways.idle, ways.fares(), ways.due_back(), ways.current.silence_s) == (None, (), False, None)


def test_what_the_standby_leaves_out_is_as_for_the_first() -> None:
    first, other = Ways(broker()).all
    assert (other.host, other.port, other.tls) == (first.host, first.port, first.tls)
    assert (other.interface, first.interface) == ("wwan0", "eth0")
    _, elsewhere = Ways(broker(host="198.51.100.1", port=8883)).all
    assert (elsewhere.host, elsewhere.port) == ("198.51.100.1", 8883)


@pytest.mark.parametrize(
    ("standby", "words"),
    [
        ({"interface": "eth0"}, "standby is the same way again; give it an interface, a source or a host of its own"),
        ({"interface": "eth0", "host": "192.0.2.1", "port": 1883}, "standby is the same way again"),
        ({"interface": "an interface"}, "standby.interface"),
        ({"source": "wwan0"}, "is no IP address; give one of this machine's own, such as 192.0.2.7"),
    ],
)
def test_a_standby_that_leads_nowhere_else_is_refused(standby: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        broker(**standby)
    assert words in str(error.value)


def test_a_config_that_says_nothing_new_about_the_broker_changes_no_way(clock: Clock) -> None:
    ways = on_standby(clock)
    ways.become(broker(back_after_s=BACK_S))
    assert ways.current.name == STANDBY
    ways.become(broker(back_after_s=BACK_S, interface="wwan1"))
    assert (ways.current.name, [fares.well for fares in ways.fares()]) == (FIRST, [None, None])
    ways.become(BrokerConfig(host="192.0.2.1"))
    ways.probed(Ways(broker()).all[1], "an answer about a way that is no more")
    assert ways.fares() == ()
