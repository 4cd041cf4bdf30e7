"""What ticks bring: delays that fall due, silence, shelves that end, reds that speak again. No other clock is read."""

from collections.abc import Iterator, Mapping

import numpy as np

from davylamp_alarms.batch import Bools, Ints
from davylamp_alarms.columns import ALWAYS, NEVER, Columns
from davylamp_alarms.conditions import ACTIVE, NORMAL, PENDING, Phase
from davylamp_alarms.definition import NO_TAG, WARNING_KINDS, Kind
from davylamp_alarms.forewarn import setting_clocks, warn
from davylamp_alarms.hiding import hide_no_longer
from davylamp_alarms.layout import KIND_NUMBER, TAG_TIMES
from davylamp_alarms.memory import BEFORE_START, JUMP_MS, MEASURED, UNMEASURED, UNSEEN, UP, Memory
from davylamp_alarms.rules.stale import overdue
from davylamp_alarms.samples import settle_bands
from davylamp_alarms.showing import fall_due
from davylamp_alarms.shown import evidence_now
from davylamp_alarms.skew import skewed
from davylamp_alarms.slots import EDGE_TIMES, LIVE_TIMES
from davylamp_alarms.steps import Step, What
from davylamp_alarms.warning.masks import some

GAP_MS = 5_000
"""A longer gap between ticks means that the host was down: stale and link timers start again (SAFETY S3)."""

SINCE_MS = 1_500
"""What was taken since an edge's clock was set is younger than this: its offset comes with every message."""

NOISE_MS = 250
"""How far a reading's stamp may be ahead of its edge's clock as we know it, by what messages take on their way."""

UNSEEN_GRACE_MS = 60_000
"""How long an edge node that the register names may take to show up for the first time."""

DAY_MS = 86_400_000


def tick(
    memory: Memory, seq: int, now_ms: int, monotonic_ms: int, boot_id: str, offsets: Mapping[str, int]
) -> list[Step]:
    """Let every timer fall due that is due now."""
    told_ms = memory.clock.now_ms
    gap_ms = _host_time(memory, now_ms, monotonic_ms, boot_id)
    _edge_times(memory, now_ms, offsets)
    if gap_ms > GAP_MS:
        _restart(memory, now_ms)
    clock = memory.clock
    before_ms = min(told_ms, clock.now_ms)  # a shift change is told though the host's clock was set over it
    clock.now_ms, clock.monotonic_ms, clock.boot_id = now_ms, monotonic_ms, boot_id
    steps = [
        *warn(memory, seq, now_ms),
        *raise_pending(memory, seq, now_ms),
        *_raise_stale(memory, seq, now_ms),
        *_links(memory, seq, now_ms),
        *skewed(memory, seq, now_ms),
        *fall_due(memory, seq, now_ms),
    ]
    steps += _repeats(memory, seq, before_ms, now_ms)
    memory.quiet = memory.quiet and not steps
    return steps


# clocks


def _host_time(memory: Memory, now_ms: int, monotonic_ms: int, boot_id: str) -> int:
    """Take out a jump of the host's clock from everything kept in host time; return the true gap between ticks."""
    clock = memory.clock
    clock.jump_ms = 0
    memory.nodes.before_ms[: memory.nodes.n] = NEVER
    if clock.now_ms == NEVER:
        return GAP_MS + 1
    if boot_id != clock.boot_id:
        memory.quiet = False
        _doubt_offsets(memory, went_back=now_ms < clock.now_ms)
        return max(now_ms - clock.now_ms, GAP_MS + 1)
    gap_ms = monotonic_ms - clock.monotonic_ms
    jump_ms = (now_ms - clock.now_ms) - gap_ms
    if abs(jump_ms) >= JUMP_MS:
        clock.jump_ms, memory.quiet = jump_ms, False
        _move_host(memory, jump_ms, now_ms, gap_ms)
    return gap_ms


def _doubt_offsets(memory: Memory, *, went_back: bool) -> None:
    """Measure edges' clocks anew after a start of the host; where its clock went back, no edge's was set."""
    measured = memory.nodes.measured[: memory.nodes.n]
    measured[measured == MEASURED] = BEFORE_START
    if went_back:
        measured[:] = UNMEASURED


def _move_host(memory: Memory, jump_ms: int, now_ms: int, gap_ms: int) -> None:
    tags, nodes, slots = memory.layout.tags, memory.nodes, memory.slots
    _shift_host(tags, "arrival_ms", tags.young[: tags.n] == 1, jump_ms, now_ms, gap_ms)
    _shift_host(nodes, "base_ms", nodes.written("base_ms"), jump_ms, now_ms, gap_ms)
    _shift_host(slots, "late_seen_ms", slots.written("late_seen_ms"), jump_ms, now_ms, gap_ms)

    def old(time_ms: int) -> bool:
        return bool(host_old(np.array([time_ms]), np.array([True]), jump_ms, now_ms, gap_ms)[0])

    for lone in memory.lone.values():
        if lone.since_ms == lone.then_ms or old(lone.since_ms):
            lone.since_ms += jump_ms
    memory.book.move_clock(jump_ms, old)
    known = nodes.measured[: nodes.n] == MEASURED
    nodes.before_ms[: nodes.n] = np.where(known, nodes.offset_ms[: nodes.n], NEVER)
    with setting_clocks(memory):
        nodes.offset_ms[: nodes.n] -= np.where(known, jump_ms, 0)
    memory.weigh_offsets()
    memory.clock.now_ms += jump_ms
    memory.clock.sweep_ms = NEVER


def _shift_host(columns: Columns, name: str, young: Bools, jump_ms: int, now_ms: int, gap_ms: int) -> None:
    times: Ints = getattr(columns, name)[: columns.n]
    shift(columns, name, slice(0, columns.n), jump_ms, host_old(times, young, jump_ms, now_ms, gap_ms))


def host_old(times: Ints, young: Bools, jump_ms: int, now_ms: int, gap_ms: int) -> Bools:
    """Return which host times were taken before the host's clock was set.

    What is as old as a gap between ticks by the new clock is by the old one older, or still to come, by the jump: the
    middle tells them apart. Set back, that holds of what came since the last tick alone, and all else is old.

    Args:
        young: Which were taken since the last tick.
    """
    age_ms, middle_ms = now_ms - times, (gap_ms + jump_ms) // 2
    return ~young | (age_ms < middle_ms) if jump_ms < 0 else age_ms > middle_ms


def shift(columns: Columns, name: str, where: slice | Ints, jump_ms: int, old: Bools) -> None:
    """Move the times that were taken before a clock was set; those taken since are already by the new clock."""
    times: Ints = getattr(columns, name)[where]
    known = (times != NEVER) & (times != ALWAYS)
    getattr(columns, name)[where] = np.where(old & known, times + jump_ms, times)


def _edge_times(memory: Memory, now_ms: int, offsets: Mapping[str, int]) -> None:
    """Take note of the edges' clock offsets; an edge whose clock was set keeps its delays and its present."""
    said, nodes = {memory.node(name): offsets[name] for name in sorted(offsets)}, memory.nodes
    # an offset as before is said of a host clock that has been set since; said again, the edge's was set with it
    news = {node: offset_ms for node, offset_ms in said.items() if offset_ms != nodes.before_ms[node]}
    if all(nodes.measured[node] == MEASURED and offset_ms == nodes.offset_ms[node] for node, offset_ms in news.items()):
        return
    memory.quiet = False
    with setting_clocks(memory):
        for node, offset_ms in news.items():
            jump_ms = offset_ms - int(nodes.offset_ms[node])
            if _was_set(int(nodes.measured[node]), jump_ms):
                _move_edge(memory, node, jump_ms, now_ms, now_ms + offset_ms)
            if nodes.measured[node] != MEASURED:
                _bring_back(memory, node, now_ms + offset_ms)
            nodes.offset_ms[node], nodes.measured[node] = offset_ms, MEASURED
    memory.weigh_offsets()


def _was_set(measured: int, jump_ms: int) -> bool:
    """Return whether an edge's clock was set: over a start of the host, only ahead can nothing be lost by it."""
    return abs(jump_ms) >= JUMP_MS and (measured == MEASURED or (measured == BEFORE_START and jump_ms > 0))


def _move_edge(memory: Memory, node: int, jump_ms: int, now_ms: int, edge_now_ms: int) -> None:
    layout, slots = memory.layout, memory.slots
    tags, mine, tag_of_slot = _of_node(memory, node)
    before = _before_set(layout.tags.time_ms[tags] + now_ms - layout.tags.arrival_ms[tags], jump_ms, edge_now_ms)
    for name in TAG_TIMES:
        old = before | _edge_old(getattr(layout.tags, name)[tags], jump_ms, edge_now_ms)
        shift(layout.tags, name, tags, jump_ms, old)
    all_old = np.isin(tag_of_slot[mine], tags[before])
    for name in EDGE_TIMES:
        old = _edge_old(getattr(slots, name)[mine], jump_ms, edge_now_ms)
        if name in LIVE_TIMES:
            old |= all_old
        if jump_ms < 0:
            old |= ~slots.written(name)[mine]
        shift(slots, name, mine, jump_ms, old)


def _of_node(memory: Memory, node: int) -> tuple[Ints, Ints, Ints]:
    """Return the tags of a node, their slots, and the tag of every slot."""
    layout, slots = memory.layout, memory.slots
    tags = np.flatnonzero(layout.node_of[layout.tags.shared[: layout.tags.n]] == node)
    tag_of_slot = layout.tags_of(slots.row[: slots.n].astype(np.int64))
    return tags, np.flatnonzero(np.isin(tag_of_slot, tags)), tag_of_slot


def _bring_back(memory: Memory, node: int, edge_now_ms: int) -> None:
    """Let nothing be ahead of an edge's clock that is measured for the first time since the host itself was started.

    Nobody knows which of both was set back while it was down: readings would count as the past (S2).
    """
    tags, mine, _ = _of_node(memory, node)
    for columns, names, where in ((memory.layout.tags, TAG_TIMES, tags), (memory.slots, EDGE_TIMES, mine)):
        for name in names:
            times: Ints = getattr(columns, name)
            times[where] = np.where(times[where] == ALWAYS, ALWAYS, np.minimum(times[where], edge_now_ms))


def _before_set(clock_ms: Ints, jump_ms: int, edge_now_ms: int) -> Bools:
    """Return which tags' newest reading was taken before their edge's clock was set.

    Args:
        clock_ms: What the edge's clock would say now by each tag's newest reading: its stamp and the time since then.
    """
    ahead_ms = clock_ms - edge_now_ms
    return ahead_ms > min(-jump_ms // 2, NOISE_MS) if jump_ms < 0 else ahead_ms < -(jump_ms // 2)


def _edge_old(times: Ints, jump_ms: int, edge_now_ms: int) -> Bools:
    """Return which of an edge's times are too far from its clock to have been taken since it was set.

    Set back, an old one may be as near: it is known by that it was there at the last tick.
    """
    if jump_ms < 0:
        return (times - edge_now_ms > min(-jump_ms // 2, NOISE_MS)) | (edge_now_ms - times > SINCE_MS)
    return edge_now_ms - times > jump_ms // 2


def _restart(memory: Memory, now_ms: int) -> None:
    """Let silence and lost links count from now; nothing was heard later than that, whatever the clock was before."""
    memory.quiet = False
    memory.nodes.base_ms[: memory.nodes.n] = now_ms
    tags, slots = memory.layout.tags, memory.slots
    np.minimum(tags.arrival_ms[: tags.n], now_ms, out=tags.arrival_ms[: tags.n])
    np.minimum(slots.late_seen_ms[: slots.n], now_ms, out=slots.late_seen_ms[: slots.n])
    memory.clock.sweep_ms = NEVER
    for lone in memory.lone.values():
        if lone.definition.kind is Kind.LINK and lone.phase is Phase.PENDING:
            lone.since_ms = now_ms
        lone.since_ms = min(lone.since_ms, now_ms)
    hide_no_longer(memory, now_ms)


# timers


def raise_pending(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Raise rows whose on-delay is over by their edge's clock, without waiting for a sample (S1, S3)."""
    layout, slots = memory.layout, memory.slots
    if memory.quiet and not memory.waiting:
        return []
    excited = slots.row[: slots.n]
    waiting = layout.rows.phase[excited] == PENDING
    memory.waiting = some(waiting)
    if not memory.waiting:
        return []
    rows = np.sort(excited[waiting]).astype(np.int64)
    tags, shared = layout.tags_of(rows), layout.rows.shared[rows]
    due_ms = slots.since_ms[layout.rows.slot[rows]] + layout.on_delay_of[shared]
    offset_ms = memory.offset_of(tags)
    over = now_ms + offset_ms >= due_ms
    if not over.any():
        return []
    rows, tags, due_ms, offset_ms = rows[over], tags[over], due_ms[over], offset_ms[over]
    layout.rows.phase[rows] = ACTIVE
    settle_bands(memory, np.unique(tags).astype(np.int32))
    return [
        _raised(memory, seq, int(row), int(tag), int(due), int(due - offset))
        for row, tag, due, offset in zip(rows, tags, due_ms, offset_ms, strict=True)
    ]


def _raised(memory: Memory, seq: int, row: int, tag: int, time_ms: int, due_ms: int) -> Step:
    tags, kind = memory.layout.tags, memory.layout.row_class(row).kind
    said = (time_ms, due_ms, float(tags.value[tag]), int(tags.quality[tag]))
    evidence = evidence_now(memory, tag, kind) if kind in WARNING_KINDS else ""
    return Step(seq, tag, KIND_NUMBER[kind], What.RAISED, *said, evidence=evidence)


def _raise_stale(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Raise tags that were silent too long. No tag can be before the sweep that the last one worked out."""
    layout, clock, nodes = memory.layout, memory.clock, memory.nodes
    tags = layout.tags
    if now_ms < clock.sweep_ms or not tags.n:
        return []
    shared = tags.shared[: tags.n]
    node, stale_ms = layout.node_of[shared], layout.stale_of[shared]
    arrival_ms, base_ms = tags.arrival_ms[: tags.n], nodes.base_ms[node]
    up = nodes.link[node] == UP
    due_ms = np.maximum(arrival_ms, base_ms) + stale_ms
    clock.sweep_ms = _next_sweep(np.where(due_ms < now_ms, now_ms + stale_ms, due_ms)[up])
    silent = np.flatnonzero(overdue(arrival_ms, base_ms, stale_ms, up, now_ms))
    return list(_stale_steps(memory, seq, silent))


def _next_sweep(due_ms: Ints) -> int:
    """Return when the first tag can be overdue; one that is overdue now may be heard again and fall silent again."""
    return int(due_ms.min()) + 1 if due_ms.size else ALWAYS


def _stale_steps(memory: Memory, seq: int, silent: Ints) -> Iterator[Step]:
    layout = memory.layout
    rows, position = layout.rows_of(silent.astype(np.int32))
    wanted = layout.kind_of[layout.rows.shared[rows]] == KIND_NUMBER[Kind.STALE]
    wanted &= layout.rows.phase[rows] == NORMAL
    rows, tags = rows[wanted], silent[position[wanted]]
    if not rows.size:
        return
    layout.rows.phase[rows] = ACTIVE
    settle_bands(memory, tags.astype(np.int32))
    shared, offset_ms = layout.tags.shared[tags], memory.offset_of(tags)
    heard_ms = np.maximum(layout.tags.arrival_ms[tags], memory.nodes.base_ms[layout.node_of[shared]])
    due_ms = heard_ms + layout.stale_of[shared]
    slots = memory.slots.of(layout.rows, rows)
    memory.slots.since_ms[slots], memory.slots.until_ms[slots] = due_ms + offset_ms, ALWAYS
    for row, tag, due, offset in zip(rows, tags, due_ms, offset_ms, strict=True):
        yield _raised(memory, seq, int(row), int(tag), int(due + offset), int(due))


def _links(memory: Memory, seq: int, now_ms: int) -> list[Step]:
    """Let link alarms fall due, and count those nodes as lost that nobody ever saw."""
    steps = []
    for name in sorted(memory.lone):
        lone = memory.lone[name]
        if lone.definition.kind is Kind.CLOCK:
            continue
        if lone.definition.kind is Kind.LINK and lone.phase is Phase.NORMAL:
            if memory.nodes.link[memory.node(lone.definition.node)] == UNSEEN:
                steps += lone.wrong(seq, now_ms, grace_ms=UNSEEN_GRACE_MS)
        else:
            steps += lone.fall_due(seq, now_ms)
    return steps


def _repeats(memory: Memory, seq: int, before_ms: int, now_ms: int) -> Iterator[Step]:
    """Let standing acknowledged reds announce themselves again, every 30 min and at shift change (S7)."""
    if not memory.book.repeats:
        return
    shift_ms = _shift_change(memory.shifts_ms, before_ms, now_ms)
    for (name, _), due_ms in list(memory.book.repeats.items()):
        if due_ms <= now_ms or shift_ms is not None:
            due = due_ms if shift_ms is None else min(due_ms, shift_ms)
            yield _timer(memory, seq, name, What.RE_ALARM, due, due)


def _shift_change(shifts_ms: tuple[int, ...], before_ms: int, now_ms: int) -> int | None:
    """Return the last shift change after `before_ms` up to `now_ms`, if any."""
    if before_ms == NEVER:
        return None
    today = now_ms - now_ms % DAY_MS
    changes = [day + shift for day in (today - DAY_MS, today) for shift in shifts_ms]
    return max((change for change in changes if before_ms < change <= now_ms), default=None)


def _timer(memory: Memory, seq: int, name: str, what: What, time_ms: int, due_ms: int) -> Step:
    found = memory.layout.find(name)
    tag, kind = found if found else (NO_TAG, memory.lone[name].definition.kind)
    return Step(seq, tag, KIND_NUMBER[kind], what, time_ms, due_ms, alarm=name)
