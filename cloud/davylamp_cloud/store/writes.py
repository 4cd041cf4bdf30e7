"""What the monitor writes into state.db: everything a slice of the log led to, in the caller's one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from davylamp_cloud import faultpoints
from davylamp_cloud.chain import Head, canonical, link, mark_of
from davylamp_cloud.notice import Notices
from davylamp_cloud.registered import Tag
from davylamp_cloud.settings import Settings
from davylamp_cloud.step import Step
from davylamp_cloud.store import schema
from davylamp_cloud.store.alarms import write_alarms
from davylamp_cloud.store.migrate import later_defaults
from davylamp_cloud.store.register import write_register
from davylamp_cloud.store.rows import insert, put
from davylamp_cloud.store.state import MONITOR
from davylamp_cloud.work import Refused, Work

Row = dict[str, Any]
Route = Callable[[Mapping[str, Any], int], list[Row]]
"""(notice data, created_ms) -> outbox rows; notify.route decides who is told."""

AUDIT_CHAIN = "#audit"
"""The audit rows' chain among the heads; no hazard source can be called so."""

LATER_STEP, LATER_AUDIT = later_defaults(schema.TRANSITIONS), later_defaults(schema.AUDIT)

DECIDED = {
    "accept": "settings accepted",
    "reject": "settings rejected",
    "limits": "limits changed",
    "verify": "limit verified",
    "edge": "limits changed at their edge",
}
"""The audit rows' word for each decision of a person."""

SET_ASIDE = "record set aside"
"""The audit rows of records no replay may evaluate again."""


class Writer:
    """Knows the newest number and hash of every chain, and how to word and route a transition."""

    def __init__(self, heads: Mapping[str, Head], notices: Notices, route: Route) -> None:
        self._heads = dict(heads)
        self._pending = self._heads
        self._notices = notices
        self._route = route

    def write(self, connection: Connection, work: Work) -> list[Row]:
        """Store a slice's work with its cursor; return the rows of its transitions."""
        self._pending = dict(self._heads)
        write_register(connection, work, self._notices.text_of)
        rows = self._transitions(connection, work)
        _write_acts(connection, work)
        _write_heard(connection, work)
        self._write_audit(connection, work)
        self._write_heads(connection)
        write_cursor(connection, work.seq, work.at_ms)
        return rows

    def committed(self) -> None:
        """Go on from the heads of the transaction that was just committed."""
        self._heads = self._pending

    def _transitions(self, connection: Connection, work: Work) -> list[Row]:
        """Store transitions, chained, with the alarms they move and the outbox rows of whoever is told of them."""
        rows, outbox, texts = [], [], []
        for step in work.steps:
            source = step.transition.hazard_source
            head = self._pending.get(source, Head())
            data = self._data(step, head)
            row, self._pending[source] = link(head, self._row(data, step), LATER_STEP)
            rows.append(row)
            texts.append(data["text"])
            outbox += self._route(data, step.at_ms)
        if rows:
            insert(connection, schema.TRANSITIONS, rows)
            faultpoints.hit("monitor.after_transitions")
        if outbox:
            insert(connection, schema.OUTBOX, outbox)
            faultpoints.hit("monitor.after_outbox")
        write_alarms(connection, rows, texts, work.hidden_until_ms)
        return rows

    def _data(self, step: Step, head: Head) -> Row:
        """Return a notice's data; its number continues the stored chain, whatever a replay may have counted.

        The id ends in a mark of what it stands for: a cloud restored from a backup counts on from the copy, and a
        receiver must not take another event for one it has (SAFETY S23).
        """
        said, number = step.transition, head.number + 1
        mark = mark_of(head, said.seq, step.at_ms, said.alarm_id, said.occurrence, said.version, said.event)
        name = f"{said.hazard_source}-{number}-{mark}"
        return {**self._notices.data(said), "id": name, "source_no": number}

    def _row(self, data: Row, step: Step) -> Row:
        plain = {name: data[name] for name in schema.STEP_NAMES if name not in ("tag", "tag_id")}
        head = {name: data[name] for name in ("id", "source_no", "seq", "alarm_id")}
        tag = {"tag": self._notices.tag_index(step.transition), "tag_id": data["tag"]}
        return {**head, **plain, **tag, "at_ms": step.at_ms, "body": canonical(data)}

    def _write_audit(self, connection: Connection, work: Work) -> None:
        rows = []
        for content in _audits(work, self._notices.text_of):
            head = self._pending.get(AUDIT_CHAIN, Head())
            row, self._pending[AUDIT_CHAIN] = link(head, {"number": head.number + 1, **content}, LATER_AUDIT)
            rows.append(row)
        insert(connection, schema.AUDIT, rows)

    def _write_heads(self, connection: Connection) -> None:
        rows = [
            {"chain": chain, "number": head.number, "hash": head.hash}
            for chain, head in self._pending.items()
            if head != self._heads.get(chain)
        ]
        put(connection, schema.CHAIN_HEADS, rows)


def write_cursor(connection: Connection, seq: int, at_ms: int) -> None:
    """Store how far the monitor is."""
    put(connection, schema.CURSORS, [{"name": MONITOR, "seq": seq, "at_ms": at_ms}])


def load_heads(connection: Connection) -> dict[str, Head]:
    """Return the newest number and hash of every chain."""
    rows = connection.execute(select(schema.CHAIN_HEADS)).mappings()
    return {row["chain"]: Head(row["number"], row["hash"]) for row in rows}


def load_set_aside(connection: Connection, after: int) -> frozenset[int]:
    """Return the records behind a cursor that were set aside because the engine failed on them."""
    audit = schema.AUDIT
    query = select(audit.c.seq).where(audit.c.action == SET_ASIDE, audit.c.seq > after)
    return frozenset(connection.execute(query).scalars())


def load_lately_set_aside(connection: Connection, since_ms: int) -> list[tuple[int, str]]:
    """Return the records that were set aside since a moment, each with the reason."""
    audit = schema.AUDIT
    query = select(audit.c.seq, audit.c.after).where(audit.c.action == SET_ASIDE, audit.c.at_ms >= since_ms)
    return [(row.seq, row.after) for row in connection.execute(query.order_by(audit.c.seq))]


HEARD = {"advice": schema.ADVICE, "floods": schema.FLOODS, "upsets": schema.UPSETS}


def _write_heard(connection: Connection, work: Work) -> None:
    """Store what the alarm system's performance said of itself."""
    for name, table in HEARD.items():
        put(connection, table, [row for (kind, _), row in work.heard.rows.items() if kind == name])


def _write_acts(connection: Connection, work: Work) -> None:
    """Store links, refusals and what came of notices."""
    links = [
        {"node": change.node, "up": change.up, "reason": change.reason, "since_ms": change.at_ms, "seq": change.seq}
        for change in work.links
    ]
    refusals = [
        {"seq": r.seq, "at_ms": r.at_ms, "actor": r.by, "op": r.op, "subject": r.subject, "reason": r.refusal.en}
        for r in work.refused
    ]
    deliveries = [
        {
            "seq": delivery.seq,
            "transition": str(delivery.said.get("transition", "")),
            "receiver": str(delivery.said.get("receiver", "")),
            "status": str(delivery.said.get("status", "")),
            "at_ms": int(delivery.said.get("at_ms", 0)),
            "detail": delivery.said,
        }
        for delivery in work.deliveries
    ]
    for table, rows in ((schema.LINKS, links), (schema.REFUSALS, refusals), (schema.DELIVERIES, deliveries)):
        put(connection, table, rows)


def _audits(work: Work, text_of: Callable[[Settings], str]) -> Iterator[Row]:
    """Yield what is in no transition and must still be in a chain: decisions, refusals, new tags, damage (S29)."""
    for decision in work.decisions:
        before, after = (text_of(tag.settings) for tag in (decision.before, decision.after))
        what = (decision.by, DECIDED[decision.op], decision.after.tag_id, before, after)
        yield _audit(decision.at_ms, decision.seq, *what, decision.comment)
    for refused in work.refused:
        before = text_of(refused.before) if refused.before else ""
        what = (refused.by, f"{refused.op} refused", refused.subject, before, _why(refused, text_of))
        yield _audit(refused.at_ms, refused.seq, *what, refused.comment)
    for seq, found in work.introduced:
        if found.new:
            device, after = f"{found.new[0].node}/{found.new[0].device}", _first_settings(found.new, text_of)
            yield _audit(found.at_ms, seq, found.new[0].node, "tags introduced", device, "", after)
    for act in work.acts:
        before = "" if act.before is None else canonical(act.before)
        yield _audit(act.at_ms, act.seq, act.by, str(act.op), act.subject, before, canonical(act.said))
    for gone in work.removed:
        yield _audit(gone.at_ms, gone.seq, gone.node, "device removed by its edge", gone.node, "", "")
    for aside in work.set_aside:
        yield _audit(aside.at_ms, aside.seq, "", SET_ASIDE, str(aside.seq), "", aside.reason)
    for damage in work.unreadable:
        yield _audit(damage.at_ms, damage.seq, "", "record unreadable", str(damage.seq), "", damage.reason)


def _why(refused: Refused, text_of: Callable[[Settings], str]) -> str:
    """Return why something was refused, and of an edit also what it wanted."""
    reason = refused.refusal.en
    return canonical({"refused": reason, "wanted": text_of(refused.wanted)}) if refused.wanted else reason


def _first_settings(tags: Sequence[Tag], text_of: Callable[[Settings], str]) -> str:
    """Return the settings a birth put in force, each written once with the points it holds for."""
    points: dict[str, list[str]] = {}
    for tag in tags:
        points.setdefault(text_of(tag.settings), []).append(tag.point)
    return canonical({",".join(names): text for text, names in points.items()})


def _audit(
    at_ms: int, seq: int, actor: str, action: str, subject: str, before: str, after: str, comment: str = ""
) -> Row:
    row = {"at_ms": at_ms, "seq": seq, "actor": actor, "action": action, "subject": subject}
    return {**row, "before": before, "after": after, "comment": comment}
