"""What is sent next is decided without a broker, a disk or a clock."""

from collections.abc import Iterable, Sequence

from davylamp_edge.outgoing import RESEND_MS, Fetch, Outgoing, Read, Rest, Send
from davylamp_edge.pace import FIRST
from davylamp_edge.records import JournalClass, Record
from davylamp_wire.intervals import Intervals

NOW = 2_000
"""When a confirmation comes, where that decides nothing."""


def record(number: int, kind: JournalClass = JournalClass.LIVE) -> Record:
    return Record(number, "pump", kind, number * 1000, b"x" * 10)


def sendings(outgoing: Outgoing, now_ms: int, stored: Iterable[Record] = ()) -> list[tuple[int, bool]]:
    """Do what is chosen until it rests; return numbers sent and whether as history."""
    disk = {item.number: item for item in stored}
    done: list[tuple[int, bool]] = []
    while not isinstance(choice := outgoing.choose(now_ms), Rest):
        if isinstance(choice, Send):
            outgoing.sent(choice.record, now_ms)
            done.append((choice.record.number, choice.historical))
        elif isinstance(choice, Fetch):
            outgoing.have_fetched(choice, [disk[number] for number in choice.numbers if number in disk])
        else:
            outgoing.have_read(choice, found(disk, choice))
    return done


def found(disk: dict[int, Record], read: Read) -> list[Record]:
    fitting = [r for r in disk.values() if r.journal_class is read.journal_class and read.after < r.number <= read.upto]
    return sorted(fitting, key=lambda r: r.number)[: read.limit]


def born(rate: float = 100_000, last: int = 0, confirmed: str = "") -> Outgoing:
    outgoing = Outgoing(rate)
    outgoing.born(last, Intervals.parse(confirmed), 0)
    return outgoing


def of_class(numbers: Sequence[int], kind: JournalClass) -> list[Record]:
    return [record(number, kind) for number in numbers]


def test_live_goes_before_backlog_and_only_backlog_is_history() -> None:
    outgoing = born(last=3)
    outgoing.offered([record(4), record(5)])
    assert sendings(outgoing, 1000, [record(n) for n in (1, 2, 3)]) == [
        (4, False),
        (5, False),
        (1, True),
        (2, True),
        (3, True),
    ]


def test_the_gravest_class_goes_first_live_and_in_backlog() -> None:
    outgoing = born(last=4)
    outgoing.offered([record(5, JournalClass.BULK), record(6, JournalClass.ALARM)])
    stored = [record(1), record(2, JournalClass.BULK), record(3, JournalClass.ALARM), record(4, JournalClass.HOLE)]
    assert [number for number, _ in sendings(outgoing, 1000, stored)] == [6, 5, 4, 3, 1, 2]


def test_alarms_and_events_that_wait_are_known_and_lower_classes_do_not_count() -> None:
    outgoing = born(last=2)
    assert outgoing.grave_waits, "nobody has looked yet what the backlog holds"
    sendings(outgoing, 1000, [record(1), record(2, JournalClass.EVENT)])
    assert not outgoing.grave_waits
    outgoing.offered([record(3), record(4, JournalClass.BULK)])
    assert not outgoing.grave_waits
    outgoing.offered([record(5, JournalClass.ALARM)])
    assert outgoing.grave_waits
    sendings(outgoing, 2000)
    assert not outgoing.grave_waits


def test_backlog_keeps_to_its_rate_and_live_does_not_wait_for_it() -> None:
    outgoing = born(rate=10, last=50)
    stored = [record(n) for n in range(1, 51)]
    outgoing.have_read(Read(JournalClass.LIVE, 0, 50, 64), stored)
    sent = sum(len(sendings(outgoing, now, stored)) for now in range(0, 2001, 100))
    assert 18 <= sent <= 21
    outgoing.offered([record(51)])
    assert sendings(outgoing, 2001) == [(51, False)]


def test_a_record_that_a_confirmation_passed_over_is_sent_again_at_once_and_once() -> None:
    outgoing = born()
    outgoing.offered([record(n) for n in (1, 2, 3)])
    sendings(outgoing, 0)
    outgoing.confirm(Intervals.parse("1,3"), 3, NOW)
    outgoing.confirm(Intervals.parse("1,3"), 3, NOW)
    assert sendings(outgoing, 500, [record(2)]) == [(2, True)]
    outgoing.confirm(Intervals.parse("1,3"), 3, NOW)
    assert sendings(outgoing, 1000, [record(2)]) == []


def test_a_record_that_had_come_before_the_cut_proves_no_loss_of_what_was_sent_ahead_of_it_again() -> None:
    """Of 1 to 3 the host had 3 when the link was cut, and says so while all of them are on their way once more."""
    outgoing = born(last=3)
    stored = [record(n) for n in (1, 2, 3)]
    assert sendings(outgoing, 1000, stored) == [(1, True), (2, True), (3, True)]
    outgoing.confirm(Intervals.parse("3"), 3, NOW)
    assert sendings(outgoing, 1500, stored) == []
    outgoing.offered([record(4)])
    sendings(outgoing, 2000)
    outgoing.confirm(Intervals.parse("1,3-4"), 4, NOW)
    assert sendings(outgoing, 2500, stored) == [(2, True)], "the first sending of 4 does prove it"


def test_what_was_sent_after_the_newest_confirmed_record_is_not_lost_yet() -> None:
    outgoing = born()
    outgoing.offered([record(n) for n in (1, 2, 3)])
    sendings(outgoing, 0)
    outgoing.confirm(Intervals.parse("1"), 3, NOW)
    assert sendings(outgoing, 500, [record(2), record(3)]) == []


def test_silence_resends_after_30_s_then_waits_twice_as_long() -> None:
    outgoing = born()
    outgoing.offered([record(1)])
    sendings(outgoing, 0)
    assert outgoing.choose(1000) == Rest(RESEND_MS)
    assert sendings(outgoing, RESEND_MS, [record(1)]) == [(1, True)]
    assert sendings(outgoing, 2 * RESEND_MS, [record(1)]) == []
    assert sendings(outgoing, 3 * RESEND_MS, [record(1)]) == [(1, True)]


def test_s27_a_confirmed_set_that_shrinks_sends_what_it_forgot_again() -> None:
    outgoing = born(confirmed="1-10")
    stored = [record(n) for n in range(1, 11)]
    outgoing.confirm(Intervals.parse("1-6"), 10, NOW)
    assert sendings(outgoing, 1000, stored[6:]) == [(7, True), (8, True), (9, True), (10, True)]


def test_a_birth_makes_everything_unconfirmed_backlog_again() -> None:
    outgoing = born()
    outgoing.offered([record(1), record(2)])
    sendings(outgoing, 0)
    outgoing.born(2, Intervals.parse("1"), 100)
    assert sendings(outgoing, 1000, [record(2)]) == [(2, True)]
    assert outgoing.in_flight == 1


def test_a_full_live_queue_leaves_the_rest_to_a_later_pass() -> None:
    outgoing = born()
    big = [Record(n, "pump", JournalClass.LIVE, n, bytes(1024 * 1024)) for n in range(1, 13)]
    outgoing.offered(big)
    sent = [each for now_ms in range(1000, RESEND_MS, 500) for each in sendings(outgoing, now_ms, big)]
    assert {number for number, _ in sent} == set(range(1, 13))
    assert sent[0] == (6, False)
    assert (1, True) in sent


def test_what_the_journal_no_longer_has_is_not_waited_for() -> None:
    outgoing = born()
    outgoing.offered([record(1)])
    sendings(outgoing, 0)
    assert sendings(outgoing, RESEND_MS, []) == []
    assert outgoing.in_flight == 0


def test_backlog_waits_while_the_cloud_does_not_confirm() -> None:
    outgoing = born(last=6_000)
    stored = [record(n) for n in range(1, 6_001)]
    sent = sum(len(sendings(outgoing, now_ms, stored)) for now_ms in range(0, 15_000, 100))
    assert 5_000 <= sent < 5_100
    outgoing.confirm(Intervals.parse("1-5000"), 6_000, 15_000)
    assert sendings(outgoing, 15_100, stored[5_000:])


def test_the_backlog_goes_faster_only_while_confirmations_come_soon() -> None:
    outgoing = born(last=1)
    sendings(outgoing, 1000, [record(1)])
    outgoing.confirm(Intervals.parse("1"), 1, 1050)
    faster = outgoing.backlog_rate
    outgoing.offered([record(2)])
    sendings(outgoing, 2000)
    outgoing.confirm(Intervals.parse("1-2"), 2, 3000)
    assert faster > FIRST
    assert outgoing.backlog_rate == faster / 2


def test_a_one_way_link_sends_each_record_so_often_and_settles_it() -> None:
    outgoing = Outgoing(1000, repeats=3)
    outgoing.born(0, Intervals(), 0)
    outgoing.offered([record(1)])
    sent = [number for now in range(0, 60_000, 500) for number, _ in sendings(outgoing, now, [record(1)])]
    assert sent == [1, 1, 1]
    assert outgoing.take_settled() == [1]
    assert outgoing.in_flight == 0
