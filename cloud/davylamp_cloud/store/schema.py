"""The tables of state.db: what the monitor makes of the log, and the register of tags and limits.

Only the monitor writes here, in one transaction per slice of the log, except for the outbox's own delivery state
(notify/outbox.py). Every row can be made again from the log, as long as the log reaches back that far.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from davylamp_cloud.store.json_text import JsonText
from davylamp_cloud.store.what import WHAT

METADATA = MetaData()

TAGS = Table(
    "tags",
    METADATA,
    Column("idx", Integer, primary_key=True, comment="the dense index of log.db"),
    Column("tag_id", String, nullable=False, unique=True, comment="group/node/device/point"),
    Column("node", String, nullable=False, comment="group/node"),
    Column("device", String, nullable=False),
    Column("point", String, nullable=False),
    Column("hazard_source", String, nullable=False),
    Column("plant_tag", String, nullable=False, comment="the plant's own name, verbatim"),
    Column("zh", String, nullable=False),
    Column("en", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("kind", String, nullable=False, comment="process, gas, fire, status, diagnostic"),
    Column("datatype", String, nullable=False),
    Column("range_low", Float),
    Column("range_high", Float),
    Column("silence_s", Float, nullable=False),
    Column("profile", String, nullable=False),
    Column("profile_version", Integer, nullable=False),
    Column("device_zh", String, nullable=False),
    Column("device_en", String, nullable=False),
    Column("confirmed", Boolean, nullable=False, comment="false: a foreign edge, which cannot resend"),
    Column("states", JsonText, nullable=False, comment='{"1": {"zh": …, "en": …}}'),
    Column("birth", Integer, nullable=False, comment="the birth that introduced or last described it"),
    Column("born_seq", BigInteger, nullable=False),
    Column("limits_version", Integer, nullable=False),
    Column("accepted_by", String, nullable=False, comment='"birth" for first limits'),
)

OTHER_UNITS = Table(
    "other_units",
    METADATA,
    Column("birth", Integer, primary_key=True, comment="a birth that says another unit than its tag's"),
    Column("tag", Integer, ForeignKey("tags.idx"), primary_key=True),
)

SETTINGS = Table(
    "settings",
    METADATA,
    Column("key", String, primary_key=True, comment="SHA-256 of the text: what many tags share is stored once"),
    Column("body", JsonText, nullable=False, comment="settings.Settings: limits with sources, range, silence"),
)

LIMITS = Table(
    "limits",
    METADATA,
    Column("tag", Integer, ForeignKey("tags.idx"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("from_seq", BigInteger, nullable=False, comment="in force from this record of the log on"),
    Column("to_seq", BigInteger, comment="null: in force now"),
    Column("settings", String, ForeignKey("settings.key"), nullable=False),
    Column("accepted_by", String, nullable=False),
    Column("accepted_ms", BigInteger, nullable=False),
)

PROPOSALS = Table(
    "proposals",
    METADATA,
    Column("id", String, primary_key=True, comment="<tag idx>-<log seq>"),
    Column("tag", Integer, ForeignKey("tags.idx"), nullable=False),
    Column("seq", BigInteger, nullable=False, comment="the birth's record"),
    Column("settings", JsonText, nullable=False, comment="what the birth wants"),
    Column("differences", JsonText, nullable=False, comment="[[field, live, proposed], …]"),
    Column("state", String, nullable=False, comment="open, accepted, rejected, superseded"),
    Column("proposed_ms", BigInteger, nullable=False),
    Column("decided_by", String),
    Column("decided_seq", BigInteger, comment="the decision's record of the log"),
    Column("decided_ms", BigInteger),
)

_STEP: tuple[tuple[str, Any, bool], ...] = (
    ("lane", String, False),
    ("occurrence", String, False),
    ("version", Integer, False),
    ("hazard_source", String, False),
    ("tag", Integer, False),
    ("tag_id", String, False),
    ("kind", String, False),
    ("priority", String, False),
    ("event", String, False),
    ("condition", String, False),
    ("quality", Integer, False),
    ("acknowledged", Boolean, False),
    ("latched", Boolean, False),
    ("suppressions", JsonText, False),
    ("letter", String, False),
    ("value", Float, True),
    ("limit", Float, True),
    ("time_ms", BigInteger, False),
    ("due_ms", BigInteger, True),
    ("raised_ms", BigInteger, False),
    ("late", Boolean, False),
    ("late_until_ms", BigInteger, True),
    ("scan_ms", Integer, False),
    ("actor", String, False),
    ("comment", String, False),
)
"""What an alarm row and a transition row have in common: the step itself, as the engine gave it."""


def _step_columns(but: str = "") -> list[Column[Any]]:
    return [Column(name, kind, nullable=nullable) for name, kind, nullable in _STEP if name != but]


STEP_NAMES = tuple(name for name, _, _ in _STEP)

ALARMS = Table(
    "alarms",
    METADATA,
    Column("alarm_id", String, primary_key=True, comment="<tag id>#<kind>"),
    Column("lane", String, primary_key=True, comment="live, or what backlog told"),
    *_step_columns("lane"),
    Column("transition", String, nullable=False, comment="its newest transition"),
    Column("seq", BigInteger, nullable=False),
    Column("acknowledged_by", String, nullable=False),
    Column("acknowledged_ms", BigInteger),
    Column("shelved_until_ms", BigInteger),
    Column("hidden_until_ms", BigInteger, comment="when the mask or the permit that hides it ends"),
    Column("text_zh", Text, nullable=False),
    Column("text_en", Text, nullable=False),
    Index("alarms_by_occurrence", "occurrence"),
)

TRANSITIONS = Table(
    "transitions",
    METADATA,
    Column("id", String, primary_key=True, comment="<hazard source>-<number>-<mark>; also the webhook-id"),
    Column("source_no", BigInteger, nullable=False, comment="1, 2, 3, … within the hazard source"),
    Column("seq", BigInteger, nullable=False, comment="the record of the log that made it"),
    Column("alarm_id", String, nullable=False),
    *_step_columns(),
    Column("at_ms", BigInteger, nullable=False, comment="arrival of that record, UTC"),
    Column("body", Text, nullable=False, comment="canonical JSON: the data of its notice"),
    Column("prev_hash", String, nullable=False),
    Column("hash", String, nullable=False),
    UniqueConstraint("hazard_source", "source_no"),
    Index("transitions_by_occurrence", "occurrence", "version"),
    Index("transitions_by_seq", "seq"),
    Index("transitions_by_time", "at_ms"),
    Index("transitions_by_alarm", "alarm_id", "at_ms", "seq", "source_no", text(WHAT)),
)

ADVICE = Table(
    "advice",
    METADATA,
    Column("id", String, primary_key=True, comment="advice-<n>"),
    Column("kind", String, nullable=False, comment="chatter, fleeting, flood"),
    Column("alarm_id", String, nullable=False),
    Column("hazard_source", String, nullable=False),
    Column("flood", String, nullable=False, comment="the flood it is about, if any"),
    Column("began_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("suggestion", JsonText, nullable=False, comment="deadband, on_delay_s, off_delay_s"),
    Column("closed", String, nullable=False, comment="why; empty while it is open"),
)

FLOODS = Table(
    "floods",
    METADATA,
    Column("id", String, primary_key=True, comment="<position>-flood-<n>"),
    Column("position", String, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False, comment="0 while it lasts"),
    Column("peak", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("alarms", Integer, nullable=False, comment="how many different ones"),
    Column("tie_ms", Integer, nullable=False, comment="0: one was first"),
    Column("first", JsonText, nullable=False, comment="occurrence, alarm, raised_ms of each"),
    Column("priorities", JsonText, nullable=False),
    Column("worst", JsonText, nullable=False),
)

UPSETS = Table(
    "upsets",
    METADATA,
    Column("id", String, primary_key=True, comment="<hazard source>-upset-<n>"),
    Column("position", String, nullable=False),
    Column("hazard_source", String, nullable=False),
    Column("began_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False, comment="0 while it lasts"),
    Column("tie_ms", Integer, nullable=False, comment="0: one was first"),
    Column("total", Integer, nullable=False),
    Column("first", JsonText, nullable=False, comment="occurrence, alarm, raised_ms of each"),
    Index("upsets_by_end", "ended_ms"),
)

CHAIN_HEADS = Table(
    "chain_heads",
    METADATA,
    Column("chain", String, primary_key=True, comment="a hazard source, or audit"),
    Column("number", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("prev_hash", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("comment", Text, nullable=False, default="", comment="what the person said to it"),
    Index("audit_by_time", "at_ms"),
    Index("audit_by_seq", "seq"),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("transition", String, nullable=False),
    Column("receiver", String, nullable=False),
    Column("priority", String, nullable=False),
    Column("occurrence", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("state", String, nullable=False, default="pending", comment="pending, delivered, failed"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt_ms", BigInteger, nullable=False, default=0),
    Column("last_error", String, nullable=False, default=""),
    Column("created_ms", BigInteger, nullable=False),
    Column("delivered_ms", BigInteger),
    UniqueConstraint("transition", "receiver"),
    Index("outbox_by_state", "state", "receiver"),
    sqlite_autoincrement=True,
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="the delivery's record of the log"),
    Column("transition", String, nullable=False),
    Column("receiver", String, nullable=False),
    Column("status", String, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("detail", JsonText, nullable=False),
    Index("deliveries_by_transition", "transition"),
)

LINKS = Table(
    "links",
    METADATA,
    Column("node", String, primary_key=True),
    Column("up", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
)

REFUSALS = Table(
    "refusals",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False, comment="the command's record of the log"),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("op", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("reason", Text, nullable=False),
)

CURSORS = Table(
    "cursors",
    METADATA,
    Column("name", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

SNAPSHOTS = Table(
    "snapshots",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("engine_version", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
