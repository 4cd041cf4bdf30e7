"""Who hears what a run says: its listener knows what stands when it begins."""

from davylamp_alarms.backtest.outcome import Listener
from davylamp_alarms.engine import Engine
from davylamp_alarms.transition import Condition, Lane

from davylamp_cloud.backtest.laid import Sees


def listener_at(engine: Engine, sees: Sees) -> Listener:
    """Return a listener that knows what stands now and is anybody's business who asks."""
    standing = (seen for seen in engine.standing() if seen.lane is Lane.LIVE)
    active = (seen.alarm for seen in standing if seen.state.condition is Condition.ACTIVE)
    return Listener(frozenset(alarm for alarm in active if sees(_source(engine, alarm))))


def _source(engine: Engine, alarm: str) -> str:
    found = engine.definition(alarm)
    return "" if found is None else found.hazard_source
