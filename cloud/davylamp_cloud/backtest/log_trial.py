"""A backtest over a cloud's own log: what it said at the time, beside what other limits would have made it say.

The evaluation is the monitor's own (evaluate.py), from the newest snapshot before the span on, and with everything the
log has: readings, births, links, ticks, and what persons did. Only reading connections are used, so that it may run
beside the cloud.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from davylamp_alarms.backtest.outcome import Listener, Outcome
from davylamp_alarms.backtest.run import Said
from davylamp_alarms.backtest.trial import beside
from davylamp_alarms.transition import Condition, Lane
from davylamp_wire.config import ConfigError

from davylamp_cloud.backtest.answer import Answer
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
    """

    rules: Rules
    against: Rules
    from_ms: int
    to_ms: int
    sees: Sees = everything


def over_log(log: Log, state: State, asked: Asked, told: Progress) -> Answer:
    """Return what rules would have changed.

    Raises:
        ConfigError: A rule is wrong, or nothing happened in that span; the message says what to do.
        TooOld: Neither snapshot nor log reaches back that far.
    """
    rules, against, sees = asked.rules, asked.against, asked.sees
    tags = [row for row in state.tags() if sees(str(row["hazard_source"]))]
    names = {str(row["tag_id"]): names_of(str(row["tag_id"]), str(row["plant_tag"])) for row in tags}
    if mistakes := [line for one in (rules, against) for line in unmatched(one, list(names.values()))]:
        raise ConfigError(mistakes)
    stretch = _stretch(log, state, asked.from_ms, asked.to_ms)
    if against is NO_RULES:
        before, was = _as_it_was(log, state, stretch, sees), None
        after, tried = _under(log, state, rules, stretch, told, sees)
    else:
        before, was = _under(log, state, against, stretch, lambda done: told(done / 2), sees)
        after, tried = _under(log, state, rules, stretch, lambda done: told(0.5 + done / 2), sees)
    return Answer(
        origin=str(log.path.parent),
        trial=beside(before, after),
        readings=tried.readings,
        names={tag_id: called[0] for tag_id, called in names.items()},
        before=tried.before if was is None else was.after,
        after=tried.after,
    )


def _stretch(log: Log, state: State, from_ms: int, to_ms: int) -> Stretch:
    start, end = log.seq_at(from_ms - 1), min(state.cursor(), log.seq_at(to_ms - 1))
    if end > start:
        first, last = log.read(start, 1)[0], log.read(end - 1, 1)[0]
        return Stretch(start, end, max(from_ms, first.time_ms), min(to_ms, last.time_ms + 1))
    raise ConfigError([f"{log.path}: has no records in this span; name another with --from and --to"])


def _as_it_was(log: Log, state: State, of: Stretch, sees: Sees) -> Outcome:
    """Return what came of what the cloud said: nothing is evaluated but what stood at the beginning."""
    listener = _listener(moment(log, state, Live(), of.start), sees)
    return _heard(listener, said_between(state, of.start, of.end), of, sees)


def _under(log: Log, state: State, rules: Rules, of: Stretch, told: Progress, sees: Sees) -> tuple[Outcome, Tried]:
    """Return what comes of the stretch under rules."""
    evaluator = moment(log, state, Live(), of.start)
    listener = _listener(evaluator, sees)
    tried = Tried(evaluator, rules, of.start, of.from_ms, sees)
    return _heard(listener, chain(tried.begun, said_under(tried, log, state, of, told)), of, sees), tried


def _heard(listener: Listener, said: Iterable[Said], of: Stretch, sees: Sees) -> Outcome:
    for one in said:
        if sees(one.transition.hazard_source):
            listener.hear(one)
    return listener.outcome(of.from_ms, of.to_ms)


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
