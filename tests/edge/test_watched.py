"""Raw readings of local points: whoever decides sees each of them, also what is never reported (SAFETY S8)."""

from collections.abc import Sequence
from typing import Any

from davylamp_edge.reply import Decoded
from davylamp_edge.report import Post
from davylamp_edge.watched import Watched
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from support.field import point

LIMITS = {"H": {"value": 80, "action": {"zh": "查", "en": "look"}, "source": {"standard": "t", "basis": "proposal"}}}
LOCAL = point(local=True, limits=LIMITS)
PLAIN = point(limits=LIMITS)


class Seen:
    """What was seen, as (device, points, values, qualities, times)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int], list[Any], list[int], list[int]]] = []
        self.post = Post("rig1", lambda result: None, lambda: 5, self.see)

    def see(
        self, device: str, points: Sequence[int], values: Sequence[Any], qualities: Sequence[int], times: Sequence[int]
    ) -> None:
        self.calls.append((device, [*points], [*values], [*qualities], [*times]))


def watched(*points: Any) -> Watched:
    found = Watched.of([10 + at for at in range(len(points))], points)
    assert found is not None
    return found


def test_nothing_is_watched_where_nothing_is_local() -> None:
    assert Watched.of([0, 1], [PLAIN, PLAIN]) is None


def test_s08_a_reply_is_seen_with_the_devices_own_places_and_the_time_it_arrived() -> None:
    seen = Seen()
    doubt = uncertain(Reason.INHIBIT)
    watched(PLAIN, LOCAL, LOCAL).look(Decoded([1.0, 2.0, 3.0], {2: doubt}), 77, seen.post)
    assert seen.calls == [("rig1", [11, 12], [2.0, 3.0], [GOOD, doubt], [77, 77])]


def test_a_reply_that_carries_times_is_seen_with_them() -> None:
    seen = Seen()
    watched(LOCAL, PLAIN).look(Decoded([1.0, 2.0], {}, [5, 6]), 77, seen.post)
    assert seen.calls == [("rig1", [10], [1.0], [GOOD], [5])]


def test_s04_a_device_that_does_not_answer_is_seen_as_bad() -> None:
    seen = Seen()
    watched(LOCAL, PLAIN).lose(Reason.COMM, 77, seen.post)
    assert seen.calls == [("rig1", [10], [None], [bad(Reason.COMM)], [77])]


def test_s08_every_value_a_server_tells_is_seen_in_its_order() -> None:
    seen = Seen()
    told = [(0, 1.0, GOOD, 5), (1, 9.0, GOOD, 5), (2, 4.0, GOOD, 0), (0, 90.0, GOOD, 6), (0, 2.0, GOOD, 7)]
    watched(LOCAL, PLAIN, LOCAL).hear(told, 77, seen.post)
    assert [(points, values, times) for _, points, values, _, times in seen.calls] == [
        ([10, 12], [1.0, 4.0], [5, 77]),
        ([10], [90.0], [6]),
        ([10], [2.0], [7]),
    ]


def test_a_value_that_is_confirmed_is_seen_again() -> None:
    """An off-delay ends although nothing changes: the server's keepalive says that the value stands."""
    seen = Seen()
    it = watched(LOCAL, LOCAL)
    it.hear([(0, 2.0, GOOD, 7)], 77, seen.post)
    it.again(99, seen.post)
    assert seen.calls[1:] == [("rig1", [10], [2.0], [GOOD], [99])]
