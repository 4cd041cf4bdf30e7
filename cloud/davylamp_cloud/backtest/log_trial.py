"""A backtest over a cloud's own log: what it said at the time, beside what other limits would have made it say.

The evaluation is the monitor's own (evaluate.py), from the newest snapshot before the span on, and with everything the
log has: readings, births, links, ticks, and what persons did. Only reading connections are used, so that it may run
beside the cloud.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from davylamp_alarms.backtest.envelope import Envelope
from davylamp_alarms.backtest.outcome import Listener, Outcome
from davylamp_alarms.backtest.run import Said
from davylamp_alarms.backtest.trial import beside
from davylamp_alarms.transition import Condition, Lane
from davylamp_wire.config import ConfigError

from davylamp_cloud.backtest.answer import Answer, Courses
from davylamp_cloud.backtest.csv_file import Progress
from davylamp_cloud.backtest.rules import NO_RULES, Rules, unmatched
from davylamp_cloud.backtest.stored import said_between
from davylamp_cloud.backtest.tried import Sees, Tried, everything, names_of
from davylamp_cloud.evaluate import Evaluator
from davylamp_cloud.live import Live
from davylamp_cloud.log import Log
from davylamp_cloud.replay import moment, slices
from davylamp_cloud.store.state import State
from davylamp_cloud.store.writes import load_set_aside


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of the log the records after `start` up to `end`, and the host times they are from and to."""

    start: int
    end: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a log: ``from_ms <= arrival < to_ms``.

    Args:
        against: The limits before; with `NO_RULES` that is what the cloud itself did.
        sees: Whose hazard sources are meant and told of.
        courses: Whether pictures are wanted, of the tags the rules mean.
    """

    rules: Rules
    against: Rules
    from_ms: int
    to_ms: int
    sees: Sees = everything
    courses: bool = False


def over_log(log: Log, state: State, asked: Asked, told: Progress) -> Answer:
    """Return what rules would have changed.

    Raises:
        ConfigError: A rule is wrong, or nothing happened in that span; the message says what to do.
        TooOld: Neither snapshot nor log reaches back that far.
    """
    tags = [row for row in state.tags() if asked.sees(str(row["hazard_source"]))]
    names = {str(row["tag_id"]): names_of(str(row["tag_id"]), str(row["plant_tag"])) for row in tags}
    if mistakes := [line for one in (asked.rules, asked.against) for line in unmatched(one, list(names.values()))]:
        raise ConfigError(mistakes)
    runs = _Runs(log, state, _stretch(log, state, asked.from_ms, asked.to_ms), asked.sees)
    meant = {int(row["idx"]): str(row["tag_id"]) for row in tags if asked.rules.of(*names[str(row["tag_id"])])}
    courses = Courses(tuple(meant.values()), Envelope(np.array(list(meant)))) if asked.courses else None
    envelope = None if courses is None else courses.envelope
    if asked.against is NO_RULES:
        before, was = runs.as_it_was(), None
        after, tried = runs.under(asked.rules, told, envelope)
    else:
        before, was = runs.under(asked.against, lambda done: told(done / 2))
        after, tried = runs.under(asked.rules, lambda done: told(0.5 + done / 2), envelope)
    return Answer(
        origin=str(log.path.parent),
        trial=beside(before, after),
        readings=tried.readings,
        names={tag_id: called[0] for tag_id, called in names.items()},
        before=tried.before if was is None else was.after,
        after=tried.after,
        courses=courses,
    )


def _stretch(log: Log, state: State, from_ms: int, to_ms: int) -> Stretch:
    start, end = log.seq_at(from_ms - 1), min(state.cursor(), log.seq_at(to_ms - 1))
    if end > start:
        first, last = log.read(start, 1)[0], log.read(end - 1, 1)[0]
        return Stretch(start, end, max(from_ms, first.time_ms), min(to_ms, last.time_ms + 1))
    raise ConfigError([f"{log.path}: has no records in this span; name another with --from and --to"])


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs through one stretch of a log."""

    log: Log
    state: State
    of: Stretch
    sees: Sees

    def as_it_was(self) -> Outcome:
        """Return what came of what the cloud said: nothing is evaluated but what stood at the beginning."""
        listener = _listener(moment(self.log, self.state, Live(), self.of.start), self.sees)
        return self._heard(listener, said_between(self.state, self.of.start, self.of.end))

    def under(self, rules: Rules, told: Progress, envelope: Envelope | None = None) -> tuple[Outcome, Tried]:
        """Return what comes of the stretch under rules; the envelope takes its readings."""
        evaluator = moment(self.log, self.state, Live(), self.of.start)
        listener = _listener(evaluator, self.sees)
        tried = Tried(evaluator, rules, self.of.start, self.of.from_ms, self.sees)
        tried.envelope = envelope
        said = said_under(tried, self.log, self.state, self.of, told)
        return self._heard(listener, chain(tried.begun, said)), tried

    def _heard(self, listener: Listener, said: Iterable[Said]) -> Outcome:
        for one in said:
            if self.sees(one.transition.hazard_source):
                listener.hear(one)
        return listener.outcome(self.of.from_ms, self.of.to_ms)


def said_under(tried: Tried, log: Log, state: State, of: Stretch, told: Progress) -> Iterator[Said]:
    """Yield what a stretch of the log leads to; records that were set aside at the time are set aside now.

    Raises:
        ConfigError: The log was trimmed meanwhile.
    """
    with state.reading() as connection:
        aside = load_set_aside(connection, of.start)
    at = of.start
    for records in slices(log, of.start, of.end):
        if records[0].seq != at + 1:
            raise ConfigError([f"{log.path}: records {at + 1} to {records[0].seq - 1} are gone; begin later (--from)"])
        at = records[-1].seq
        yield from tried.take([record for record in records if record.seq not in aside])
        told((at - of.start) / (of.end - of.start))


def _listener(evaluator: Evaluator, sees: Sees) -> Listener:
    """Return who hears what comes, and knows what stands."""
    standing = (seen for seen in evaluator.engine.standing() if seen.lane is Lane.LIVE)
    active = (seen.alarm for seen in standing if seen.state.condition is Condition.ACTIVE)
    return Listener(frozenset(alarm for alarm in active if sees(_source(evaluator, alarm))))


def _source(evaluator: Evaluator, alarm: str) -> str:
    found = evaluator.engine.definition(alarm)
    return "" if found is None else found.hazard_source
