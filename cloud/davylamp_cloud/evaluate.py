"""From records of the log to what they lead to: engine and register fed in order, nothing stored, nothing told.

The monitor stores what comes out; a replay after a restart only compares it. Both go through here, so that they
cannot differ.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from davylamp_alarms.definition import Changes, Kind, alarm_id
from davylamp_alarms.edit_preview import EditPreview
from davylamp_alarms.engine import Engine
from davylamp_alarms.performance.watch import Performance
from davylamp_alarms.persons import actor_of
from davylamp_alarms.transition import Command, Op, Refusal, Transition, Why
from davylamp_alarms.warning import RULES
from davylamp_wire.describe import DeviceDescription

from davylamp_cloud import faultpoints
from davylamp_cloud.acts import AUDITED, HIDING, Act, act_of, command_of, subject_of
from davylamp_cloud.edge_words import Text, gathered, read, stamp_of
from davylamp_cloud.introduction import described
from davylamp_cloud.limit_edits import DIRECT, Asked, wanted_of
from davylamp_cloud.listening import listen
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log, Record, RecordKind
from davylamp_cloud.readings import Read, comparable, decoded, kept, slice_of
from davylamp_cloud.register import Register
from davylamp_cloud.registered import Introduced, Proposal, Tag
from davylamp_cloud.resumption import standing_in
from davylamp_cloud.settings import HOST_CLOCK, REVIEW_LATE, RULE, Settings, mask_alarm, system_alarm, system_alarm_id
from davylamp_cloud.site import CONFIG, in_force, masks_of
from davylamp_cloud.step import Step
from davylamp_cloud.tags import Birth
from davylamp_cloud.work import Decision, Delivery, LinkChange, Refused, Unreadable, Work

AT_EDGE = "limits changed where they are decided / 限值已在边缘修改"


OF_RULES = {f"{RULE}-{rule}": rule for rule in RULES}
"""The alarm that says that a statistical rule failed, and the rule."""


class HalfDone(Exception):
    """The engine failed inside a record: it may be half way through, so it must be made anew (monitor.py)."""


@contextmanager
def whole() -> Iterator[None]:
    """Let an error be the engine's and no mistake in the record: passed over, no timer might run any more (S14)."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise HalfDone(repr(error)) from error


class Evaluator:
    """Engine, register and live values at one place of the log; `take` moves them on."""

    def __init__(self, engine: Engine, register: Register, live: Live, log: Log) -> None:
        self.engine = engine
        self.register = register
        register.watch_switches(engine.masks().values())
        self.live = live
        self.performance = Performance()
        self._log = log
        self._known: tuple[int, frozenset[str]] = (-1, frozenset())
        self._takers: dict[RecordKind, Callable[[Record, Work], None]] = {
            RecordKind.BIRTH: self._birth,
            RecordKind.LINK: self._link,
            RecordKind.TICK: self._tick,
            RecordKind.COMMAND: self._command,
            RecordKind.CHANGE: self._change,
            RecordKind.DELIVERY: self._delivery,
            RecordKind.DAMAGED: self._damaged,
        }

    def take(self, records: Sequence[Record]) -> Work:
        """Evaluate records that follow what was taken before; return what they lead to."""
        work = Work(records[-1].seq, records[-1].time_ms)
        if faultpoints.armed:
            for record in records:
                faultpoints.hit("monitor.evaluating", f"{record.kind}:{record.device}")
        ahead = self._decoded(records)
        for kind, run in groupby(records, key=lambda record: record.kind):
            if kind is RecordKind.DATA:
                self._data(list(run), work, ahead)
            else:
                for record in run:
                    self._one(kind, record, work)
        listen(self.performance, work.heard, work.steps)
        return work

    def remember(self, seq: int, at_ms: int) -> Work:
        """Take on what the log's births say of tags the register does not know; return what that leads to."""
        work = Work(seq, at_ms)
        births = (self._log.births.get(number) for number in self._log.births.numbers())
        said = ((birth, text) for birth in births if (text := _said(self._log.description(birth.id))) is not None)
        new, changes = self.register.remember(said, len(self._log.births), seq, at_ms)
        if not new:
            return work
        answer = self._redefined(seq, changes)
        if isinstance(answer, Refusal):
            raise HalfDone(f"births: {answer.en}")
        work.steps += [Step(step, at_ms) for step in answer]
        for device in dict.fromkeys((tag.node, tag.device) for tag in new):
            tags = [tag for tag in new if (tag.node, tag.device) == device]
            work.introduced.append((seq, Introduced(at_ms, tags[0].birth, new=tags)))
        self.live.grow(len(self.register))
        return work

    def _one(self, kind: RecordKind, record: Record, work: Work) -> None:
        try:
            self._takers[kind](record, work)
        except (ValueError, KeyError, TypeError) as error:
            work.unreadable.append(Unreadable(record.seq, record.time_ms, f"{kind}: {error}"))

    def _decoded(self, records: Sequence[Record]) -> dict[int, Read]:
        """Decode all readings at once, whatever lies between them: a hundred payloads cost little more than one."""
        data = [record for record in records if record.kind is RecordKind.DATA]
        read = decoded(data, self._log.births)
        return {record.seq: columns for record, columns in zip(data, read, strict=True)}

    def _data(self, records: Sequence[Record], work: Work, ahead: Mapping[int, Read] | None = None) -> None:
        found = comparable(slice_of(records, self._log.births, ahead), self.register.other_units)
        work.readings.append(found)
        work.unknown += found.unknown
        arrivals_ms = {record.seq: record.time_ms for record in records}
        for seq in found.unread:
            work.unreadable.append(Unreadable(seq, arrivals_ms[seq], "readings: cannot be decoded"))
        known = found.batch.tag < min(len(self.register), self.engine.tags)
        if not known.all():
            # Their birth was set aside: it is missed by name, and theirs is nobody else's silence.
            work.unknown += int(np.count_nonzero(~known))
            found = kept(found, known)
        batch = found.batch
        said = gathered(
            found.edge_words,
            self._place,
            lambda seq, why: work.unreadable.append(Unreadable(seq, arrivals_ms[seq], f"readings: {why}")),
        )
        with whole():
            told = self.engine.apply(batch, said)
        work.steps += [Step(step, arrivals_ms[step.seq]) for step in told]
        if not len(batch):
            return
        self.live.grow(len(self.register))
        self.live.store(batch.tag, batch.time_ms, batch.value, batch.quality, batch.arrival_ms, found.texts, batch.late)

    def _place(self, tag_id: str, kind: Kind) -> int | None:
        """Return the tag that has an alarm of this kind; None where there is none."""
        alarm = self.engine.definition(alarm_id(tag_id, kind))
        return None if alarm is None else alarm.tag

    def _edge_alarms(self, record: Record, said: dict[str, Any], work: Work) -> None:
        """Take what a device's birth says of the alarms its edge decides."""
        stamp_ms = stamp_of(int(said["stamp_ms"]), record.time_ms)
        text = Text(record.seq, stamp_ms, str(said["device"]), str(said["said"]))
        word = read(text)
        words = gathered(
            [text],
            self._place,
            lambda seq, why: work.unreadable.append(Unreadable(seq, record.time_ms, f"birth: {why}")),
        )
        with whole():
            steps = self.engine.edge_born(record.seq, text.device, word.life, word.run, words)
        work.steps += self._steps(steps, record)

    def _birth(self, record: Record, work: Work) -> None:
        slim = self._log.births.get(record.birth)
        if not self.register.knows(slim):
            self._introduce(record, slim, self._log.description(record.birth), work)
        if not slim.own:
            self._data([record], work)

    def _introduce(self, record: Record, birth: Birth, description: str, work: Work) -> None:
        if not description:
            return
        points = described(description)
        with whole():
            found = self.register.introduce(record.seq, record.time_ms, birth, points, birth.own)
        if found.changes is not None:
            answer = self._redefined(record.seq, found.changes)
            if isinstance(answer, Refusal):
                raise HalfDone(f"birth: {answer.en}")  # the register has its tags and the engine has not
            work.steps += self._steps(answer, record)
            self.live.grow(len(self.register))
            found.changes = None  # the engine has it: a thousand births in one slice would keep a million definitions
        work.introduced.append((record.seq, found))
        for tag, settings in found.adopted:
            self._adopt(record, self.register.tags[tag], settings, found, work)

    def _adopt(self, record: Record, tag: Tag, wanted: Settings, found: Introduced, work: Work) -> None:
        """Put in force what an edge decides by already. A limit whose alarm stands goes only by two persons (S20).

        What is refused waits for persons; who decides is never in doubt meanwhile.
        """
        answer = self._adopted(record, tag, wanted)
        if isinstance(answer, Refusal):
            found.proposals += self.register.propose(tag, wanted, record.seq, record.time_ms)
            wanted = wanted.model_copy(update={"limits": {**tag.settings.limits, **wanted.limits}})
            answer = self._adopted(record, tag, wanted)
        if isinstance(answer, Refusal):
            wanted = tag.settings.model_copy(update={"local": wanted.local})
            answer = self._adopted(record, tag, wanted)
        if isinstance(answer, Refusal):
            work.unreadable.append(Unreadable(record.seq, record.time_ms, f"birth: {tag.tag_id}: {answer.en}"))
            return
        work.steps += self._steps(answer, record)
        if wanted == tag.settings:
            return
        after = replace(tag, settings=wanted, version=tag.version + 1, accepted_by=tag.node)
        self.register.put(after)
        said = (record.seq, record.time_ms, tag.node, AT_EDGE, None)
        work.decisions.append(Decision(*said, accepted=True, before=tag, after=after, op="edge"))

    def _adopted(self, record: Record, tag: Tag, settings: Settings) -> list[Transition] | Refusal:
        changes = replace(self.register.acceptance(tag, settings, record.time_ms), comment=AT_EDGE)
        return self._redefined(record.seq, changes)

    def _link(self, record: Record, work: Work) -> None:
        said = json.loads(record.body)
        node, up = str(said["node"]), bool(said["up"])
        with whole():
            steps = self.engine.link(record.seq, node, up, record.time_ms)
        work.steps += self._steps(steps, record)
        work.links.append(LinkChange(record.seq, node, up, str(said.get("reason", "")), record.time_ms))

    def _tick(self, record: Record, work: Work) -> None:
        said = json.loads(record.body.decode())
        now_ms, monotonic_ms, boot_id = int(said["utc_ms"]), int(said["monotonic_ms"]), str(said["boot_id"])
        with whole():
            told = self.engine.tick(record.seq, now_ms, monotonic_ms, boot_id, said["offsets"])
            told += self._overdue(record, now_ms)
            told += self._host_clock(record)
            told += self._failing(record)
        work.steps += self._steps(told, record)
        work.clock_ms = now_ms
        work.heard.tick(len(work.steps), now_ms)

    def _overdue(self, record: Record, now_ms: int) -> list[Transition]:
        """Say when an act by one person alone was not reviewed in its time (SAFETY S15)."""
        late = [review for review in self.engine.reviews().values() if review.due_ms <= now_ms]
        if not late and REVIEW_LATE not in self._said():
            return []
        comment = "; ".join(f"{review.by}: {review.op} {review.subject}" for review in late)
        return self._report(record, {"name": REVIEW_LATE, "active": bool(late), "comment": comment[:500]})

    def _host_clock(self, record: Record) -> list[Transition]:
        """Say that the host's clock was set, or is off by what most edges say: delays stay right, times may not be."""
        jump_ms, error_ms = self.engine.host_clock()
        if not jump_ms and not error_ms and HOST_CLOCK not in self._said():
            return []
        comment = f"set by {jump_ms / 1000:+g} s" if jump_ms else f"behind most edges by {error_ms / 1000:g} s"
        return self._report(record, {"name": HOST_CLOCK, "active": bool(jump_ms or error_ms), "comment": comment})

    def _failing(self, record: Record) -> list[Transition]:
        """Say which statistical rules are left out because they failed (SAFETY S14)."""
        failures, told = self.engine.failures(), list[Transition]()
        if not failures and self._said().isdisjoint(OF_RULES):
            return told
        for name, rule in OF_RULES.items():
            if rule in failures or name in self._said():
                said = {"name": name, "active": rule in failures, "comment": failures.get(rule, "")[:500]}
                told += self._report(record, said)
        return told

    def _said(self) -> frozenset[str]:
        """Return which alarms of the system that ticks look after were heard of; looked up anew after an edit."""
        version, said = self._known
        if version != self.engine.register_version:
            version = self.engine.register_version
            names = (REVIEW_LATE, HOST_CLOCK, *OF_RULES)
            said = frozenset(name for name in names if self.engine.definition(system_alarm_id(name)) is not None)
            self._known = version, said
        return said

    def _command(self, record: Record, work: Work) -> None:
        command = command_of(record.body)
        with whole():
            answer = self.engine.command(record.seq, command)
        if not isinstance(answer, Refusal):
            self._note(record, command, answer, work)
        self._answered(record, answer, work, by=command.by, op=command.op, subject=subject_of(command))

    def _note(self, record: Record, command: Command, answer: Sequence[Transition], work: Work) -> None:
        """Keep what an act says beside its transitions: until when it hides, and what only the audit chain has."""
        if command.op is Op.SHELVE:
            work.hidden_until_ms[record.seq] = self.engine.shelves()[answer[0].alarm_id].until_ms
        elif command.op in HIDING:
            work.hidden_until_ms[record.seq] = command.until_ms
        if command.op in AUDITED:
            work.acts.append(act_of(record.seq, record.time_ms, command))

    def _change(self, record: Record, work: Work) -> None:
        said = json.loads(record.body)
        if said["op"] == "report":
            work.steps += self._steps(self._report(record, said), record)
        elif said["op"] in ("accept", "reject"):
            self._decide(record, said, work)
        elif said["op"] == "start":
            self.register.run = str(said["run"])
            with whole():
                self.engine.begin_run(record.seq, self.register.run)
        elif said["op"] == "shifts":
            self._redefined(record.seq, Changes(record.time_ms, shifts_ms=tuple(said["shifts_ms"])))
        elif said["op"] == "dismiss_advice":
            self._dismiss(record, said, work)
        elif said["op"] == "site":
            self._site(record, said, work)
        elif said["op"] == "resume":
            self._resume(record, said, work)
        elif said["op"] == "device_died":
            work.removed.append(LinkChange(record.seq, f"{said['node']}/{said['device']}", False, "", record.time_ms))
        elif said["op"] == "edge_alarms":
            self._edge_alarms(record, said, work)
        elif said["op"] in DIRECT:
            self._put(record, said, self.register.find(said["tag"]), None, work)
        else:
            raise ValueError(f"there is no change {said['op']!r}")

    def _dismiss(self, record: Record, said: dict[str, Any], work: Work) -> None:
        """Close an advice because a person says so; what it was stays in the audit chain."""
        listen(self.performance, work.heard, work.steps)
        closed = self.performance.dismiss(said["advice"], f"{said['by']}: {said['comment']}")
        if not closed:
            refusal = Refusal(record.seq, Why.UNKNOWN, "没有这条待处理的建议", "there is no such open advice")
            self._answered(record, refusal, work, by=said["by"], op=said["op"], subject=said["advice"])
            return
        work.heard.keep(closed)
        act = {name: said[name] for name in ("advice", "comment")}
        work.acts.append(Act(record.seq, record.time_ms, said["by"], said["op"], said["advice"], act))
        work.answers[record.seq] = []

    def _site(self, record: Record, said: dict[str, Any], work: Work) -> None:
        """Put masks and one-person positions in force, and watch the masks' switches.

        The alarm of a switch that no mask has any more goes; one that stands stays until an edit by two persons.
        """
        masks, watched, before = masks_of(said), self.register.switches, in_force(self.engine)
        alarms = self.register.watch_switches(masks)
        changes = Changes(record.time_ms, alarms=alarms, masks=masks, one_person=tuple(said["one_person"]))
        self._redefine(record, changes, work)
        for tag in sorted(watched - self.register.switches):
            self._redefine(record, Changes(record.time_ms, removed=(alarm_id(tag, Kind.MASK),)), work)
        if (now := in_force(self.engine)) != before:
            work.acts.append(Act(record.seq, record.time_ms, CONFIG, "site", "masks, one_person", now, before))

    def _resume(self, record: Record, said: dict[str, Any], work: Work) -> None:
        """Let the engine take over what stood before it started without memory, the system's own alarms too.

        The alarm of a switch that no mask names any more stands until the switch is off, as it would have.
        """
        standing = standing_in(said)
        own = {seen.alarm.rpartition("@")[2] for seen in standing if seen.kind is Kind.SYSTEM}
        keys = [self.register.find(seen.alarm.rpartition("#")[0]) for seen in standing if seen.kind is Kind.MASK]
        stuck = (mask_alarm(tag.tag_id, tag.idx, tag.settings) for tag in keys if tag is not None)
        alarms = (*map(system_alarm, sorted(own)), *stuck)
        self._redefine(record, Changes(record.time_ms, alarms=alarms), work)
        with whole():
            steps = self.engine.resume(record.seq, record.time_ms, standing)
        work.steps += self._steps(steps, record)

    def _redefine(self, record: Record, changes: Changes, work: Work) -> None:
        answer = self._redefined(record.seq, changes)
        if isinstance(answer, Refusal):
            raise ValueError(answer.en)
        work.steps += self._steps(answer, record)

    def _redefined(self, seq: int, changes: Changes) -> list[Transition] | Refusal:
        """Return what the engine makes of an edit."""
        with whole():
            return self.engine.redefine(seq, changes)

    def _report(self, record: Record, said: dict[str, Any]) -> list[Transition]:
        """Raise or clear an alarm of the monitoring system itself; it is defined the first time it is heard of."""
        alarm, active = system_alarm_id(str(said["name"])), bool(said["active"])
        if self.engine.definition(alarm) is None:
            changes = Changes(record.time_ms, alarms=(system_alarm(str(said["name"])),))
            self._redefined(record.seq, changes)
        with whole():
            return self.engine.report(record.seq, alarm, active, record.time_ms, str(said.get("comment", "")))

    def preview(self, tag_id: str, said: Mapping[str, Any], at_ms: int) -> EditPreview | Refusal:
        """Return what an edit would do, as its record would say it; nothing changes."""
        proposal = self.register.proposals.get(str(said.get("proposal")))
        asked = self._asked(-1, said, self.register.find(tag_id), proposal, at_ms)
        return asked if isinstance(asked, Refusal) else self.engine.preview_edit(asked.changes)

    def _decide(self, record: Record, said: dict[str, Any], work: Work) -> None:
        proposal = self.register.proposals.get(said["proposal"])
        if proposal is None:
            refusal = Refusal(record.seq, Why.UNKNOWN, "没有这项待定的变更", "there is no such open proposal")
            self._answered(record, refusal, work, by=said["by"], op=said["op"], subject=said["proposal"])
        elif said["op"] == "accept":
            self._put(record, said, self.register.tags[proposal.tag], proposal, work)
        else:
            self.register.reject(proposal)
            tag = self.register.tags[proposal.tag]
            self._decided(record, said, proposal, tag, tag, work)
            work.answers[record.seq] = []

    def _put(
        self, record: Record, said: dict[str, Any], tag: Tag | None, proposal: Proposal | None, work: Work
    ) -> None:
        """Put what a person wants in force, if the engine lets it: the engine first, the register only after (S20)."""
        asked = self._asked(record.seq, said, tag, proposal, record.time_ms)
        answer = asked if isinstance(asked, Refusal) else self._redefined(record.seq, asked.changes)
        subject = proposal.id if proposal else str(said.get("tag"))
        if isinstance(asked, Refusal) or isinstance(answer, Refusal):
            refusal = answer if isinstance(answer, Refusal) else asked
            assert isinstance(refusal, Refusal)
            wanted = None if isinstance(asked, Refusal) else asked.wanted
            live, comment = tag.settings if tag else None, str(said.get("comment", ""))
            who = (str(said["by"]), str(said["op"]), subject)
            work.refused.append(Refused(record.seq, record.time_ms, *who, refusal, comment, live, wanted))
            return
        self._answered(record, answer, work, by=said["by"], op=said["op"], subject=subject)
        if asked.idle and proposal is None:
            return  # saved as it is in force: no version, no row
        by = actor_of(str(said["by"]), str(said.get("second", "")))
        after = replace(asked.tag, settings=asked.wanted, version=asked.tag.version + 1, accepted_by=by)
        self.register.put(after)
        self._decided(record, said, proposal, asked.tag, after, work)

    def _asked(
        self, seq: int, said: Mapping[str, Any], tag: Tag | None, proposal: Proposal | None, at_ms: int
    ) -> Asked | Refusal:
        """Return what an edit asks for, or why it cannot be asked for."""
        if tag is None:
            return Refusal(seq, Why.UNKNOWN, "没有这个位号", "there is no such tag")
        wanted = wanted_of(seq, said, tag, proposal, at_ms)
        if isinstance(wanted, Refusal):
            return wanted
        changes = self.register.acceptance(tag, wanted, at_ms)
        by, second, comment = (str(said.get(name, "")) for name in ("by", "second", "comment"))
        return Asked(tag, wanted, replace(changes, by=by, second=second, comment=comment))

    def _decided(
        self, record: Record, said: dict[str, Any], proposal: Proposal | None, before: Tag, after: Tag, work: Work
    ) -> None:
        name = proposal.id if proposal else None
        self.register.proposals.pop(name or "", None)
        by, comment = actor_of(str(said["by"]), str(said.get("second", ""))), str(said.get("comment", ""))
        op = str(said["op"])
        decision = Decision(record.seq, record.time_ms, by, comment, name, op != "reject", before, after, op)
        work.decisions.append(decision)

    def _answered(
        self, record: Record, answer: list[Transition] | Refusal, work: Work, *, by: str, op: str, subject: str
    ) -> None:
        if isinstance(answer, Refusal):
            work.refused.append(Refused(record.seq, record.time_ms, by, op, subject, answer))
        else:
            work.answers[record.seq] = answer
            work.steps += self._steps(answer, record)

    def _delivery(self, record: Record, work: Work) -> None:
        work.deliveries.append(Delivery(record.seq, json.loads(record.body)))

    def _damaged(self, record: Record, work: Work) -> None:
        work.unreadable.append(Unreadable(record.seq, record.time_ms, "damaged on disk: its checksum does not fit"))

    @staticmethod
    def _steps(transitions: Sequence[Transition], record: Record) -> Iterator[Step]:
        return (Step(transition, record.time_ms) for transition in transitions)


def _said(text: str) -> DeviceDescription | None:
    """Return what a birth says of its device; None where it says nothing, or nothing that can be read."""
    try:
        return described(text) if text else None
    except ValueError:
        return None
