"""The monitor: reads the log by its cursor, asks the engine, and stores what changed in one transaction.

```
log ══► take (decode, engine) ──► state.db: alarms, transitions + chain, outbox, register, cursor ──► listeners
```

It sleeps on the group commit and wakes with it. Nothing is told before the transaction that holds it is on disk.
"""

import gc
import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import structlog
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Condition
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from davylamp_cloud import faultpoints
from davylamp_cloud.blame import DEADLY, WITHIN_S, Blame, Verdict, source_of
from davylamp_cloud.config import MaskConfig, MonitorConfig, ReceiverConfig, SiteConfig
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log, NewRecord, Record, RecordKind
from davylamp_cloud.notice import Notices
from davylamp_cloud.notify.route import outbox_rows
from davylamp_cloud.outcomes import Committed, Lag, Listener, NotStarted, Outcome, Outcomes
from davylamp_cloud.receipts import as_settled, settled, standing_by_both, told_standing
from davylamp_cloud.recent import Recent
from davylamp_cloud.replay import Restored, restore, snapshot_of
from davylamp_cloud.resumption import resumption
from davylamp_cloud.settings import ASIDE, LISTENER, LOG_LOST, SNAPSHOT, STATE_LOST, system_alarm_id
from davylamp_cloud.site import site_change
from davylamp_cloud.slices import slice_after
from davylamp_cloud.snapshots import Snapshots
from davylamp_cloud.store.snapshots import oldest_snapshot
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import Writer, load_lately_set_aside
from davylamp_cloud.trying import LEFT_OUT, TRIES, Trying, aside, left_out, named
from davylamp_cloud.work import Work

LOG = structlog.get_logger()

CURSOR_S = 1.0
"""The cursor alone is stored this often; what lies between is evaluated again after a crash and brought nothing."""

WAKE_S = 0.5
REPLAY = "replay"
"""Name of the alarm that a replay did not agree with what is stored."""

SNAPSHOT_RECORDS = 20_000
"""Records after which a snapshot is due before its time, so that a replay stays short."""


LONG_REPLAY = 1_000
"""After a replay of more records than this a snapshot is due at once: a second kill must not cost the same again."""

TRYING = "trying"
"""File beside state.db with what is being evaluated right now (trying.py)."""

ENDED = f"the process ended {TRIES} times while it evaluated this record"


T = TypeVar("T")


class Monitor:
    """The thread between log and state.db. API and feed use what is public here."""

    def __init__(
        self,
        log: Log,
        state: State,
        now_ms: Callable[[], int],
        *,
        config: MonitorConfig | None = None,
        sites: Sequence[SiteConfig] = (),
        masks: Sequence[MaskConfig] = (),
        receivers: Sequence[ReceiverConfig] = (),
        failed: Callable[[BaseException], None] | None = None,
        recent: Recent | None = None,
        run: str | None = None,
    ) -> None:
        """`failed` is called from the thread when it cannot go on; the process must stop then.

        What is decoded is left in `recent` for whoever needs it next. `run` names this start as no start of any copy
        of these files is named (SAFETY S23); it begins with a letter.
        """
        self.live = Live()
        self._recent = recent
        self._log = log
        self._state = state
        self._now_ms = now_ms
        self._config = config or MonitorConfig()
        self._slice = self._config.slice_records
        self._sites = sites
        self._masks = masks
        self._receivers = receivers
        self._run_name = run or f"r{secrets.token_hex(4)}"
        self._failed = failed or (lambda error: None)
        self._outcomes = Outcomes(state.cursor(), self._listener_failed)
        self._snapshots = Snapshots(state, round(self._config.keep_snapshots_h * 3_600_000))
        self._stopping = threading.Event()
        self._looking = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._evaluator: Evaluator | None = None
        self._stored_s = self._snapshot_s = 0.0
        self._snapshot_seq = 0
        self._snapshot_alarm = False
        self._unknown = self._stored = self._replayed = self._set_aside = 0
        self._blame = Blame()
        self._ask_again: Callable[[str], None] = lambda node: None
        self._trying = Trying(state.path.parent / TRYING, state.cursor())

    # what others use

    @property
    def position(self) -> int:
        """Number of the newest record that was evaluated and whose transitions are stored."""
        return self._outcomes.position

    def on_commit(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(Committed)` on the monitor's thread after each commit; the result ends it."""
        return self._outcomes.listen(listener)

    def on_set_aside(self, ask_again: Callable[[str], None]) -> None:
        """Call `ask_again(node)` on the monitor's thread where an edge node said what is set aside (SAFETY S1)."""
        self._ask_again = ask_again

    def await_outcome(self, log_seq: int, timeout: float) -> Outcome:
        """Return what came of the command at that place of the log; TimeoutError when it takes too long."""
        return self._outcomes.wait(log_seq, timeout)

    def lag(self) -> Lag:
        """Return how far the monitor is behind the log."""
        position = self.position
        if self._log.last_seq <= position:
            return Lag(0, 0)
        behind = self._log.read(position, 1)
        return Lag(self._log.last_seq - position, max(0, self._now_ms() - behind[0].time_ms) if behind else 0)

    def status(self) -> Mapping[str, Any]:
        """Return how the monitor fares, in plain values."""
        lag = self.lag()
        return {
            "position": self.position,
            "lag_records": lag.records,
            "lag_ms": lag.ms,
            "transitions_stored": self._stored,
            "unknown_aliases": self._unknown,
            "replayed_at_start": self._replayed,
            "records_set_aside": self._set_aside,
            "listener_errors": self._outcomes.errors,
            "snapshot_failure": self._snapshots.failure or "",
        }

    def look(self, question: Callable[[Engine], T]) -> T:
        """Return what the engine answers between two slices; it must not be changed.

        Raises NotStarted before the monitor has restored it.
        """
        return self.examine(lambda evaluator: question(evaluator.engine))

    def examine(self, question: Callable[[Evaluator], T]) -> T:
        """Return what engine and register answer together, under the same terms."""
        with self._looking:
            if self._evaluator is None:
                raise NotStarted("the monitor has not restored its engine yet")
            return question(self._evaluator)

    def needed(self) -> int:
        """Return the record up to which the log may be trimmed for the monitor's part."""
        with self._state.reading() as connection:
            return min(self._state.cursor(), oldest_snapshot(connection))

    # its life

    def start(self) -> None:
        """Restore, which takes a second at most, then start the thread."""
        began_s = time.monotonic()
        cursor, newest = self._state.cursor(), self._log.newest_seq
        restored = self._restore()
        self._go_on_from(restored)
        self._remember_failures()
        if newest < cursor:
            self.tell(LOG_LOST, f"log.db: {newest} < {cursor}")
        if restored.lost:
            self.tell(STATE_LOST, f"state.db: {cursor}; log.db: {self._log.first_seq}–{newest}")
        LOG.info("monitor restored", cursor=restored.cursor, replayed=restored.replayed,
                 seconds=round(time.monotonic() - began_s, 3))  # fmt: skip
        self._thread.start()

    def _remember_failures(self) -> None:
        """Blame whose records were set aside before this start: what kills the process would begin anew each time."""
        with self._state.reading() as connection:
            lately = load_lately_set_aside(connection, self._now_ms() - round(WITHIN_S * 1000))
        for seq, reason in lately:
            found = self._log.read(seq - 1, 1)
            if found and LEFT_OUT not in reason:
                self._blame.failed(source_of(found[0]), time.monotonic(), DEADLY if ENDED in reason else 1)

    def _restore(self) -> Restored:
        return restore(self._log, self._state, self.live, shifts_ms(self._sites, self._now_ms()))

    def stop(self) -> None:
        """End the thread after the slice it is in; it leaves a snapshot, so that the next start replays nothing."""
        self._stopping.set()
        self._log.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._outcomes.close()
        self._trying.close()

    def _go_on_from(self, restored: Restored) -> None:
        self._evaluator = restored.evaluator
        self.live.grow(len(restored.evaluator.register))
        self._replayed = restored.replayed
        self._stored_s = time.monotonic()
        due = restored.cold or restored.replayed > LONG_REPLAY
        self._snapshot_s = -math.inf if due else self._stored_s
        self._snapshot_seq = restored.cursor - restored.replayed
        notices = Notices(restored.evaluator.register, self._sites)
        receivers = self._receivers
        sent = settled(self._log.deliveries(restored.cursor))
        self._writer = Writer(
            restored.heads,
            notices,
            lambda data, at_ms: [as_settled(row, sent) for row in outbox_rows(data, receivers, at_ms)],
        )
        if restored.cold and not self._took_over(restored):
            self._go_on_from(replace(self._restore(), cold=False))
            return
        for said in self._beginning():
            self._change(said)
        if restored.differences or self._stands(REPLAY):
            self._report_replay(restored.differences)
        self._snapshot_alarm = self._stands(SNAPSHOT)

    def _beginning(self) -> list[dict[str, Any]]:
        """Return what each start says to the engine."""
        shifts = {"op": "shifts", "shifts_ms": shifts_ms(self._sites, self._now_ms())}
        return [{"op": "start", "run": self._run_name}, shifts, site_change(self._masks, self._sites)]

    def _took_over(self, restored: Restored) -> bool:
        """Let an engine without memory take over what stands, before any record that waits; False where it cannot.

        After them, an alarm that one of them raises would have begun anew, and receivers never hear how the occurrence
        ended that they know (SAFETY S4). Where the engine fails on it, it goes on without, and an alarm says so (S14).
        """
        standing = standing_by_both(self._state.standing_alarms(), self._told(restored))
        LOG.warning("monitor started without snapshot or log: alarms are taken over", standing=len(standing))
        bodies = [json.dumps(said).encode() for said in (*self._beginning(), resumption(standing))]
        at = (restored.cursor, RecordKind.CHANGE, "", "", 0, self._now_ms())
        try:
            known = restored.evaluator.remember(restored.cursor, self._now_ms()) if restored.lost else None
            work = restored.evaluator.take([Record(*at, body) for body in bodies])
        except Exception as error:
            LOG.exception("alarms cannot be taken over", standing=len(standing))
            self.tell(ASIDE, f"what stood could not be taken over: {error!r}"[:500])
            nothing = Work(restored.cursor, self._now_ms())
            self._store(nothing)
            self._outcomes.publish(_committed(nothing, []), [])
            return False
        if known is not None:
            work.steps[:0], work.introduced[:0] = known.steps, known.introduced
        rows = self._store(work)
        self._outcomes.publish(_committed(work, rows), _outcomes(work, rows))
        return True

    def _told(self, restored: Restored) -> list[dict[str, Any]]:
        """Return what stands by what receivers were told, where state.db cannot say it."""
        return told_standing(self._log.deliveries(0)) if restored.lost else []

    def _stands(self, alarm: str) -> bool:
        """Return whether an alarm of the system's own is active."""
        assert self._evaluator is not None
        name = system_alarm_id(alarm)
        standing = self._evaluator.engine.standing()
        return any(record.alarm == name and record.state.condition is Condition.ACTIVE for record in standing)

    def _report_replay(self, differences: Sequence[str]) -> None:
        """Say by a record of the log whether the replay agreed; the alarm follows from it like any other."""
        if differences:
            LOG.error("replay differs from what is stored", first=differences[0])
        comment = "; ".join(differences)[:500]
        self._change({"op": "report", "name": REPLAY, "active": bool(differences), "comment": comment})

    def _change(self, said: Mapping[str, Any]) -> None:
        self._log.append([NewRecord(RecordKind.CHANGE, json.dumps(said).encode(), self._now_ms())])

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._log.wait(self.position, WAKE_S):
                    self._advance()
                self._tell_of_snapshots()
            self._snapshot()
        except BaseException as error:
            LOG.error("monitor stopped", error=repr(error))
            self._failed(error)
        finally:
            self._snapshots.finish()

    def _tell_of_snapshots(self) -> None:
        """Say by an alarm that the newest snapshot could not be stored, until one is."""
        failure = self._snapshots.failure
        if failure is not None and bool(failure) is not self._snapshot_alarm:
            self._snapshot_alarm = bool(failure)
            self._change({"op": "report", "name": SNAPSHOT, "active": bool(failure), "comment": failure[:500]})

    def _advance(self) -> None:
        """Take the next slice: evaluate, store, tell."""
        assert self._evaluator is not None
        careful = self._trying.careful(self.position)
        records = self._log.read(self.position, 1 if careful else self._slice)
        if not records:
            return
        out, records = self._blame.split(records, time.monotonic())
        if out:
            self._leave_out(out)
            return
        if careful and self._trying.spent(records):
            self._without(records[0], ENDED, weight=DEADLY)
            return
        faultpoints.hit("monitor.before_engine")
        self._trying.begin(records)
        try:
            with self._looking:
                work = self._evaluator.take(records)
            self._trying.done()
            self._blame.lived(records)
            faultpoints.hit("monitor.after_engine")
            rows = self._store(work) if self._worth_a_commit(work) else []
        except SQLAlchemyError:
            raise  # the disk's fault, no record's
        except Exception as error:
            self._recover(records, error)
            return
        if self._recent is not None and not work.unreadable:
            self._recent.keep(records[0].seq, work.seq, work.readings)
        self._unknown += work.unknown
        self._stored += len(rows)
        self._slice = slice_after(len(records), len(rows), self._config.slice_records)
        if work.register_changed:
            gc.freeze()  # what a birth brought stays: the collector need not walk a million tags again and again
        self._outcomes.publish(_committed(work, rows), _outcomes(work, rows))
        if self._snapshot_due(work.seq) and not self._snapshots.busy:
            self._snapshot()

    def _recover(self, records: Sequence[Record], error: Exception) -> None:
        """Go back to where the last commit left off; the slice is then taken record by record (trying.py).

        A failing engine is half way through the slice, so it is thrown away and made anew as at a start.
        """
        LOG.error("evaluation failed", first=records[0].seq, last=records[-1].seq, error=repr(error))
        self._trying.failed(records)
        self._store(Work(self.position, self._now_ms()))
        self._go_on_from(self._restore())
        if self._trying.spent(records) and self._without(records[0], repr(error)) is Verdict.HOPELESS:
            raise error

    def _without(self, record: Record, error: str, weight: int = 1) -> Verdict:
        """Set a record aside for good, by name; the engine has not seen it. Return what follows for its source."""
        work = aside(record, named(record, error))
        self._set_aside += 1
        self._store(work)
        LOG.error("record set aside", seq=record.seq, kind=record.kind, node=record.node, error=error)
        self.tell(ASIDE, named(record, error))
        self._ask_again(record.node)
        self._outcomes.publish(_committed(work, []), _outcomes(work, []))
        verdict = self._blame.failed(source_of(record), time.monotonic(), weight)
        if verdict is Verdict.LEAVE_OUT:
            source = "/".join(source_of(record))
            LOG.error("source left out for a while", source=source)
            said = f"all readings of {source} are left out for a while, too many have failed: {error}"
            self.tell(ASIDE, said[:500])
        return verdict

    def _leave_out(self, records: Sequence[Record]) -> None:
        """Set readings aside unseen: the engine has failed on too many of their source."""
        work = left_out(records)
        self._set_aside += len(records)
        self._store(work)
        for node in {record.node for record in records}:
            self._ask_again(node)
        self._outcomes.publish(_committed(work, []), _outcomes(work, []))

    def tell(self, name: str, comment: str) -> None:
        """Raise an alarm that latches: what it tells of is over, and a person must know of it."""
        for active in (True, False):
            self._change({"op": "report", "name": name, "active": active, "comment": comment})

    def _listener_failed(self, listener: str, error: Exception) -> None:
        """Say once that somebody no longer hears of commits; the engine goes on (SAFETY S14)."""
        self.tell(LISTENER, f"{listener}: {error!r}"[:500])

    def _worth_a_commit(self, work: Work) -> bool:
        return work.worth_storing or time.monotonic() - self._stored_s >= CURSOR_S

    def _store(self, work: Work) -> list[dict[str, Any]]:
        """Write until the disk takes it. What was evaluated stays in memory, nothing goes on before it is stored."""
        complained = False
        while True:
            try:
                with self._state.writing() as connection:
                    rows = self._writer.write(connection, work)
                    faultpoints.hit("monitor.before_commit")
            except OperationalError as error:
                if not complained:
                    LOG.error("state.db refuses the monitor", error=str(error.orig))
                complained = True
                if self._stopping.wait(WAKE_S):
                    raise
                continue
            faultpoints.hit("monitor.after_commit")
            self._writer.committed()
            self._stored_s = time.monotonic()
            return rows

    def _snapshot_due(self, seq: int) -> bool:
        """True after so many records, and after so long: by its age alone it never makes alarms wait in a storm."""
        caught_up = self._log.last_seq - self.position < self._config.slice_records
        aged = caught_up and time.monotonic() - self._snapshot_s >= self._config.snapshot_s
        return (aged and seq > self._snapshot_seq) or seq - self._snapshot_seq >= SNAPSHOT_RECORDS

    def _snapshot(self) -> None:
        """Have engine and live values stored as they are after the newest record; the cursor goes first."""
        assert self._evaluator is not None
        seq = self.position
        if seq == self._snapshot_seq:
            return
        body = snapshot_of(self._evaluator)
        nothing = Work(seq, self._now_ms())
        self._store(nothing)
        self._snapshots.store(seq, nothing.at_ms, body)
        self._snapshot_s, self._snapshot_seq = time.monotonic(), seq


def shifts_ms(sites: Sequence[SiteConfig], now_ms: int) -> tuple[int, ...]:
    """Return the shift changes of all sites, milliseconds after midnight UTC, by the offset their clocks have now."""
    found = set()
    for site in sites:
        offset = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(site.timezone)).utcoffset()
        away_ms = 0 if offset is None else round(offset.total_seconds() * 1000)
        for shift in site.shifts:
            hours, minutes = shift.split(":")
            found.add(((int(hours) * 60 + int(minutes)) * 60_000 - away_ms) % 86_400_000)
    return tuple(sorted(found))


def _committed(work: Work, rows: Sequence[Mapping[str, Any]]) -> Committed:
    nodes = tuple(dict.fromkeys(change.node for change in work.links))
    return Committed(work.seq, tuple(rows), nodes, work.register_changed, work.clock_ms)


def _outcomes(work: Work, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    done = [Outcome(seq, tuple(row for row in rows if row["seq"] == seq)) for seq in work.answers]
    return done + [Outcome(refused.seq, refusal=refused.refusal) for refused in work.refused]
