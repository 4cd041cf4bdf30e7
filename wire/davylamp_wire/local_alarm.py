"""What an edge says of the alarms it decides itself: the text of the ``Davylamp/Local Alarm`` metric (docs/wire.md)."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from davylamp_wire.point import Slug

Time = Annotated[int, Field(gt=-(1 << 53), lt=1 << 53)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=32)]


class LocalAlarm(NamedTuple):
    """Where one alarm stands, or what has just become of it. Times are UTC milliseconds.

    Args:
        kind: "HH", "OVER_RANGE" …
        no: Counts the alarm's occurrences within a life; 0 before the first.
        time_ms: When it was raised or returned, as measured; while nothing was raised, when it was seen to be normal.
        raised_ms: When occurrence `no` was raised; None before the first.
        before_ms: When the occurrence before it returned, where that is known.
        value: Of the reading that decided.
        limit: By which it was decided, in the point's unit; `version` names the limit's definition.
        found: Nothing has changed: a reading has shown where the alarm is, after a start.
    """

    point: str
    kind: str
    no: int
    active: bool
    time_ms: int
    raised_ms: int | None
    before_ms: int | None
    value: float | None
    quality: int
    limit: float
    version: str
    found: bool = False


class EdgeWord(NamedTuple):
    """What one metric says.

    Args:
        life: Names the edge's memory of its alarms: occurrences of two lives have nothing to do with each other.
        run: Counts the edge's starts within a life.
    """

    life: str
    run: int
    alarms: tuple[LocalAlarm, ...]


class _Said(BaseModel):
    """One alarm as it travels: times count back from the metric's own, so that moving that one moves them all."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    point: Slug
    kind: Word
    no: Count
    active: bool = False
    ago_ms: Time = 0
    raised_ago_ms: Time | None = None
    before_ago_ms: Time | None = None
    value: Number | None = None
    quality: Annotated[int, Field(ge=0, lt=1 << 16)] = 0
    limit: Number
    version: Annotated[str, Field(max_length=32)] = ""
    found: bool = False


class _Text(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    life: Word
    run: Count
    alarms: tuple[_Said, ...] = ()


def encode_word(word: EdgeWord, stamp_ms: int) -> str:
    """Return the text of a metric with this time."""
    said = tuple(_said(alarm, stamp_ms) for alarm in word.alarms)
    return _Text(life=word.life, run=word.run, alarms=said).model_dump_json(exclude_defaults=True)


def decode_word(text: str, stamp_ms: int) -> EdgeWord:
    """Return what a metric with this time says; what only a newer edge says is passed over.

    Raises: ValueError saying what does not fit.
    """
    try:
        said = _Text.model_validate_json(text)
        return EdgeWord(said.life, said.run, tuple(_alarm(alarm, stamp_ms) for alarm in said.alarms))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"local alarm: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _said(alarm: LocalAlarm, stamp_ms: int) -> _Said:
    times = {"ago_ms": alarm.time_ms, "raised_ago_ms": alarm.raised_ms, "before_ago_ms": alarm.before_ms}
    ago = {name: stamp_ms - time_ms for name, time_ms in times.items() if time_ms is not None}
    kept = {name: value for name, value in alarm._asdict().items() if not name.endswith("_ms")}
    return _Said.model_validate(kept | ago)


def _alarm(said: _Said, stamp_ms: int) -> LocalAlarm:
    return LocalAlarm(
        point=said.point,
        kind=said.kind,
        no=said.no,
        active=said.active,
        time_ms=stamp_ms - said.ago_ms,
        raised_ms=_before(said.raised_ago_ms, stamp_ms),
        before_ms=_before(said.before_ago_ms, stamp_ms),
        value=said.value,
        quality=said.quality,
        limit=said.limit,
        version=said.version,
        found=said.found,
    )


def _before(ago_ms: int | None, stamp_ms: int) -> int | None:
    return None if ago_ms is None else stamp_ms - ago_ms
