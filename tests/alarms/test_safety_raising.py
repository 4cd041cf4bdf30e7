"""SAFETY S1 to S7: raising and clearing."""

from davylamp_alarms.definition import Kind, PointKind, Priority
from davylamp_alarms.transition import Event, Lane, Letter, Refusal
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from support.plant import NODE, START_MS, Plant, alarm, events, tag_def

LEVEL = tag_def("LT-1101")
GAS = tag_def("AT-2201", PointKind.GAS)


def tank(**more: object) -> Plant:
    """One level with H 80 and HH 90."""
    return Plant([LEVEL], [alarm(LEVEL, 0, Kind.HH, 90, **more), alarm(LEVEL, 0, Kind.H, 80, **more)])


def only_high(**more: object) -> Plant:
    return Plant([LEVEL], [alarm(LEVEL, 0, Kind.HH, 90, **more)])


def test_s01_a_reading_over_the_limit_raises_in_its_own_call() -> None:
    plant = tank()
    plant.read(50)
    assert events(plant.read(95)) == ["HH raised B", "H raised B"]


def test_s01_a_first_reading_raises_at_once() -> None:
    assert events(only_high().read(95)) == ["HH raised B"]


def test_s01_one_dead_edge_stalls_nobody() -> None:
    other = tag_def("LT-1102", node="park/edge-2")
    plant = Plant([LEVEL, other], [alarm(LEVEL, 0, Kind.HH, 90), alarm(other, 1, Kind.HH, 90)])
    plant.link(False, "park/edge-2")
    assert events(plant.read(95)) == ["HH raised B"]


def test_s02_an_old_stamp_delivered_live_is_the_present_and_sounds() -> None:
    plant = only_high()
    told = plant.read_at(95, START_MS - 86_400_000)
    assert events(told) == ["HH raised B"]
    assert not told[0].late
    assert told[0].time_ms == START_MS - 86_400_000


def test_s02_backlog_newer_than_everything_known_is_the_present_and_sounds() -> None:
    plant = only_high()
    plant.read(50)
    told = plant.backlog(95, 2)
    assert events(told) == ["HH raised B"]
    assert told[0].late
    assert told[0].lane is Lane.LIVE


def test_s02_a_stamp_from_the_future_does_not_make_later_readings_late() -> None:
    plant = only_high()
    plant.read(50)
    plant.read_at(51, plant.now_ms + 600_000)
    plant.pass_time(2)
    told = plant.read(95)
    assert events(told) == ["HH raised B"]
    assert events(plant.read(50)) == ["HH cleared D"]


def test_s02_an_edge_clock_set_back_by_a_day_silences_and_holds_nothing() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.HH, 90), alarm(LEVEL, 0, Kind.H, 80, on_delay_ms=3_000)])
    plant.read(50)
    plant.offset_ms = -27 * 3_600_000
    plant.wait(1)
    assert events(plant.read(95)) == ["HH raised B"]
    assert events(plant.wait(3)) == ["H raised B"]
    assert events(plant.read(50)) == ["HH cleared D", "H cleared D"]


def test_s02_an_edge_clock_set_forward_does_not_shorten_a_delay() -> None:
    plant = only_high(on_delay_ms=10_000)
    plant.read(95)
    plant.offset_ms = 27 * 3_600_000
    assert plant.wait(8) == []
    assert events(plant.wait(2)) == ["HH raised B"]


def test_s03_an_on_delay_expires_on_a_tick_without_a_sample() -> None:
    plant = only_high(on_delay_ms=5_000)
    plant.read(50)
    plant.read(95)
    since_ms = plant.now_ms
    assert plant.wait(4) == []
    told = plant.wait(1)
    assert events(told) == ["HH raised B"]
    assert told[0].time_ms == told[0].due_ms == told[0].raised_ms == since_ms + 5_000


def test_s03_an_on_delay_is_measured_by_the_edges_own_clock() -> None:
    plant = only_high(on_delay_ms=5_000)
    plant.offset_ms = 3_600_000
    plant.tick()
    plant.read(95)
    due_ms = plant.now_ms + 5_000
    assert plant.wait(4) == []
    told = plant.wait(1)
    assert told[0].due_ms == due_ms
    assert told[0].time_ms == due_ms + 3_600_000


def test_s03_a_value_that_stood_past_its_delay_raises_even_where_no_tick_came() -> None:
    plant = only_high(on_delay_ms=5_000)
    plant.read(95)
    since_ms = plant.now_ms
    told = plant.read(50, after_s=20)
    assert events(told) == ["HH raised B", "HH cleared D"]
    assert told[0].time_ms == since_ms + 5_000


def test_s03_a_good_value_inside_ends_a_running_on_delay() -> None:
    plant = only_high(on_delay_ms=5_000)
    plant.read(95)
    plant.read(50)
    assert plant.wait(10) == []


def test_s03_a_bad_value_does_not_end_a_running_on_delay() -> None:
    plant = only_high(on_delay_ms=5_000)
    plant.read(95)
    plant.read(float("nan"), quality=bad(Reason.DEVICE_FAULT))
    assert events(plant.wait(4)) == ["HH raised B"]


def test_s03_a_silent_tag_goes_stale_after_three_silences_of_arrival() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.STALE)])
    plant.read_at(50, START_MS - 999_999)
    due_ms = plant.now_ms + 30_000
    assert plant.wait(30) == []
    told = plant.wait(1)
    assert events(told) == ["STALE raised B"]
    assert told[0].due_ms == due_ms
    assert events(plant.read(50)) == ["STALE cleared D"]


def test_s03_a_tag_never_seen_is_missed_too() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.STALE)])
    assert events(plant.wait(31)) == ["STALE raised B"]


def test_s03_a_tag_that_comes_back_and_falls_silent_again_goes_stale_again() -> None:
    slow = tag_def("TT-1", silence_ms=600_000)
    plant = Plant([LEVEL, slow], [alarm(LEVEL, 0, Kind.STALE), alarm(slow, 1, Kind.STALE)])
    plant.wait(31)
    plant.read(50)
    assert events(plant.wait(31)) == ["STALE raised B"]


def test_s03_nothing_goes_stale_while_the_link_is_lost_and_silence_counts_from_its_return() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.STALE)])
    plant.read(50)
    plant.link(False)
    assert plant.wait(100) == []
    plant.link(True)
    assert events(plant.wait(30)) == []
    assert events(plant.wait(1)) == ["STALE raised B"]


def test_s03_after_a_host_outage_stale_and_link_timers_start_again() -> None:
    tags = [tag_def(f"LT-{n}") for n in range(20)]
    plant = Plant(tags, [alarm(tag, n, Kind.STALE) for n, tag in enumerate(tags)])
    for n in range(20):
        plant.read(50, after_s=0, tag=n)
    plant.restart(down_s=3_600)
    assert plant.wait(30) == []
    assert len(plant.wait(2)) == 20


def test_s03_an_hour_on_the_hosts_clock_is_not_an_hour_of_silence() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.STALE)])
    for jump_ms in (3_600_000, -3_600_000):
        plant.read(50)
        plant.now_ms += jump_ms
        assert plant.wait(29) == []
    assert events(plant.wait(3)) == ["STALE raised B"]


def test_s04_uncertain_values_raise_and_do_not_clear() -> None:
    plant = only_high()
    assert events(plant.read(95, quality=uncertain(Reason.LOOP_HIGH))) == ["HH raised B"]
    assert plant.read(10, quality=uncertain(Reason.LOOP_HIGH)) == []
    assert events(plant.read(10)) == ["HH cleared D"]


def test_s04_bad_values_neither_raise_nor_clear() -> None:
    plant = only_high()
    assert plant.read(95, quality=bad(Reason.DEVICE_FAULT)) == []
    plant.read(95)
    assert plant.read(10, quality=bad(Reason.DEVICE_FAULT)) == []
    assert plant.read(float("nan")) == []
    assert plant.letters() == {"HH": "B"}


def test_s04_infinity_raises() -> None:
    assert events(only_high().read(float("inf"))) == ["HH raised B"]


def test_s04_silence_link_loss_restart_and_edits_clear_nothing() -> None:
    plant = only_high()
    plant.read(95)
    plant.wait(120)
    plant.link(False)
    plant.link(True)
    plant.restart(down_s=600)
    plant.wait(60)
    plant.edit(alarm(LEVEL, 0, Kind.HH, 85))
    assert plant.letters()["HH"] == "B"
    assert Event.CLEARED not in {t.event for t in plant.told if t.kind is Kind.HH}


def test_s04_a_deadband_must_be_left_and_the_off_delay_served_by_good_samples() -> None:
    plant = only_high(deadband=5.0, off_delay_ms=3_000)
    plant.read(95)
    assert plant.read(86) == []
    assert plant.read(85) == []
    assert plant.wait(60) == [], "silence never lets a clear fall due"
    assert events(plant.read(84)) == ["HH cleared D"]


def test_s04_leaving_the_inside_begins_the_off_delay_again() -> None:
    for disturbance, quality in ((88.0, GOOD), (float("nan"), bad(Reason.COMM)), (10.0, uncertain(Reason.CLOCK))):
        plant = only_high(deadband=5.0, off_delay_ms=3_000)
        plant.read(95)
        plant.read(80)
        plant.read(disturbance, quality=quality)
        assert plant.read(80, after_s=2) == []
        assert plant.read(80, after_s=2) == []
        plant.tick()
        assert events(plant.read(80)) == ["HH cleared D"]


def test_s04_low_limits_mirror_high_ones() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.L, 20, deadband=2.0), alarm(LEVEL, 0, Kind.LL, 10)])
    plant.read(50)
    assert events(plant.read(20)) == ["L raised B"]
    assert events(plant.read(5)) == ["LL raised B"]
    assert events(plant.read(21)) == ["LL cleared D"]
    assert events(plant.read(22)) == ["L cleared D"]


def test_s05_an_excursion_during_a_cut_is_heard_once_latched_and_with_its_times() -> None:
    plant = only_high()
    plant.read(50)
    plant.link(False)
    plant.wait(60)
    plant.link(True)
    plant.read(50)
    told = [t for s in range(10, 40) for t in plant.backlog(95 if 20 <= s < 30 else 50, s)]
    assert events(told) == ["HH raised E", "HH updated E"]
    assert [t.late for t in told] == [True, True]
    assert told[0].lane is Lane.LATE
    assert (told[1].raised_ms, told[1].late_until_ms) == (START_MS + 20_000, START_MS + 30_000)
    assert not told[0].acknowledged
    assert plant.letters() == {"LINK": "D", "HH late": "E"}


def test_s05_it_is_over_only_when_acknowledged_and_reset() -> None:
    plant = only_high()
    plant.read(50, after_s=60)
    raised = plant.backlog(95, 20)[0]
    acknowledged = plant.acknowledge(raised)
    assert events(acknowledged) == ["HH acknowledged F"]
    assert isinstance(acknowledged, list)
    assert events(plant.reset(acknowledged[0])) == ["HH reset A"]
    assert plant.letters() == {}


def test_s05_lower_priorities_go_to_the_list_only() -> None:
    plant = Plant([LEVEL], [alarm(LEVEL, 0, Kind.H, 80)])
    plant.read(50, after_s=60)
    told = [t for s in range(10, 40) for t in plant.backlog(85 if 20 <= s < 30 else 50, s)]
    assert events(told) == ["H recorded A", "H updated A"]
    assert told[1].late_until_ms == START_MS + 30_000
    assert plant.letters() == {}


def test_s05_any_red_is_heard() -> None:
    fire = tag_def("FT-1", PointKind.FIRE)
    plant = Plant([fire], [alarm(fire, 0, Kind.H, 0.5)])
    plant.read(0, after_s=60)
    assert events(plant.backlog(1, 20)) == ["H raised E"]


def test_s05_without_a_good_live_value_since_it_counts_as_standing() -> None:
    plant = only_high()
    plant.read(50)
    plant.read(float("nan"), after_s=60, quality=bad(Reason.COMM))
    told = plant.backlog(95, 20)
    assert events(told) == ["HH raised B"]
    assert plant.backlog(50, 30) == [], "older than the newest reading: it does not show the alarm gone"
    assert events(plant.read(50)) == ["HH cleared E"], "latched: backlog told of it"


def test_s03_behind_a_lost_link_nothing_goes_stale_while_another_edge_is_looked_at() -> None:
    other = tag_def("LT-1102", node="park/edge-2")
    plant = Plant([LEVEL, other], [alarm(LEVEL, 0, Kind.STALE), alarm(other, 1, Kind.STALE)])
    plant.link(True, "park/edge-2")
    plant.read(50)
    plant.read(50, tag=1)
    plant.link(False, "park/edge-2")
    assert [step.tag for step in plant.wait(70) if step.kind is Kind.STALE] == [LEVEL.id]


def test_s06_a_latch_set_by_backlog_stays_though_the_alarm_is_raised_anew() -> None:
    plant = only_high()
    plant.read(50)
    plant.read(float("nan"), after_s=60, quality=bad(Reason.COMM))
    plant.backlog(95, 20)
    plant.read(50)
    assert events([*plant.read(95), *plant.read(50)]) == ["HH raised B", "HH cleared E"]


def test_s05_backlog_in_order_raises_says_until_when_and_never_clears() -> None:
    plant = only_high()
    plant.read(50)
    plant.pass_time(60)
    told = [t for s in range(10, 40) for t in plant.backlog(95 if 20 <= s < 30 else 50, s)]
    assert events(told) == ["HH raised B", "HH updated B"]
    assert told[1].late_until_ms == START_MS + 30_000
    assert events(plant.read(50)) == ["HH cleared E"]


def test_s05_an_on_delay_holds_in_backlog_too() -> None:
    plant = only_high(on_delay_ms=5_000)
    plant.read(50, after_s=60)
    assert [t for s in range(10, 20) for t in plant.backlog(95 if 12 <= s < 16 else 50, s)] == []
    told = [t for s in range(20, 40) for t in plant.backlog(95 if 22 <= s < 32 else 50, s)]
    assert events(told) == ["HH raised E", "HH updated E"]
    assert told[0].raised_ms == START_MS + 22_000


def test_s05_a_second_excursion_joins_the_unacknowledged_first() -> None:
    plant = only_high()
    plant.read(50, after_s=300)
    told = [t for s, value in ((20, 95), (30, 50), (200, 96), (210, 50)) for t in plant.backlog(value, s)]
    assert events(told) == ["HH raised E", "HH updated E", "HH updated E", "HH updated E"]
    assert len({t.occurrence for t in told}) == 1
    assert (told[-1].raised_ms, told[-1].late_until_ms) == (START_MS + 20_000, START_MS + 210_000)


def test_s05_an_excursion_before_a_standing_one_is_an_occurrence_of_its_own() -> None:
    plant = only_high()
    plant.read(50)
    live = plant.read(95, after_s=60)[0]
    late = plant.backlog(95, 20)[0]
    assert live.occurrence != late.occurrence
    assert events(plant.acknowledge(live)) == ["HH acknowledged C"]
    assert plant.letters() == {"HH": "C", "HH late": "E"}


def test_s06_duplicates_and_disorder_make_no_news_of_a_known_excursion() -> None:
    plant = only_high()
    plant.read(50)
    plant.read(95)
    told_ms = plant.now_ms
    for value, time_ms in ((95, told_ms), (50, told_ms - 1_000), (95, told_ms)):
        assert plant.read_at(value, time_ms) == []
    assert events(plant.read(50)) == ["HH cleared D"]
    assert plant.read_at(95, told_ms) == []


def test_s06_a_raise_that_comes_out_of_order_is_heard_on_arrival_and_marked() -> None:
    plant = only_high()
    plant.read(50, after_s=10)
    told = plant.read_at(95, plant.now_ms - 5_000)
    assert events(told) == ["HH raised E"]
    assert told[0].late


def test_s06_an_older_value_over_the_limit_begins_the_off_delay_again() -> None:
    plant = only_high(off_delay_ms=5_000)
    plant.read(95)
    plant.read(50)
    plant.read(50, after_s=4)
    plant.read_at(95, plant.now_ms - 1_000)
    assert plant.read(50, after_s=2) == []
    plant.wait(4)
    assert events(plant.read(50)) == ["HH cleared D"]


def test_s07_a_standing_acknowledged_red_speaks_again_every_half_hour() -> None:
    plant = Plant([GAS], [alarm(GAS, 0, Kind.L2, 50)])
    plant.acknowledge(plant.read(60)[0])
    assert plant.wait(1_799) == []
    told = plant.wait(1)
    assert events(told) == ["L2 re_alarmed B"]
    assert plant.wait(1_800) == [], "it sounds until somebody acknowledges it again"
    plant.acknowledge(told[0])
    assert events(plant.wait(1_800)) == ["L2 re_alarmed B"]


def test_s07_it_speaks_again_at_shift_change() -> None:
    shift_ms = (START_MS + 600_000) % 86_400_000
    plant = Plant([GAS], [alarm(GAS, 0, Kind.L2, 50)], shifts_ms=(shift_ms,))
    plant.acknowledge(plant.read(60)[0])
    told = plant.wait(700)
    assert events(told) == ["L2 re_alarmed B"]
    assert told[0].due_ms == START_MS + 600_000


def test_s07_shifts_can_change_while_the_engine_runs() -> None:
    plant = Plant([GAS], [alarm(GAS, 0, Kind.L2, 50)])
    plant.acknowledge(plant.read(60)[0])
    plant.edit(shifts_ms=((plant.now_ms + 60_000) % 86_400_000,))
    assert events(plant.wait(60)) == ["L2 re_alarmed B"]


def test_s07_only_standing_reds_do() -> None:
    plant = Plant([LEVEL, GAS], [alarm(LEVEL, 0, Kind.HH, 90), alarm(GAS, 1, Kind.L2, 50, latch=True)])
    plant.acknowledge(plant.read(95)[0])
    plant.acknowledge(plant.read(60, tag=1)[0])
    plant.read(10, tag=1)
    assert plant.wait(1_900) == []


def test_an_acknowledgement_names_what_was_seen() -> None:
    plant = only_high()
    first = plant.read(95)[0]
    plant.read(50)
    again = plant.read(95)[0]
    assert again.occurrence != first.occurrence
    assert isinstance(plant.acknowledge(first), Refusal)
    assert plant.letters() == {"HH": Letter.B}
    assert events(plant.acknowledge(again)) == ["HH acknowledged C"]


def test_a_lost_link_is_an_alarm_and_its_return_ends_it() -> None:
    plant = only_high()
    told = plant.link(False)
    assert events(told) == ["LINK raised B"]
    assert told[0].priority is Priority.RED
    assert told[0].alarm_id == f"{NODE}#LINK@tank-farm"
    assert events(plant.link(True)) == ["LINK cleared D"]
