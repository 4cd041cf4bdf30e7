"""A warning's evidence is signed, stored and chained like all that is told of an alarm (SAFETY S23, S29)."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from davylamp_cloud.config import ReceiverConfig
from davylamp_cloud.store import schema
from davylamp_cloud.store.state import State
from davylamp_cloud.store.verify import verify_chain
from davylamp_wire.point import Point
from sqlalchemy import select
from support.host import host
from support.outbox import LEVELS, office
from support.receiver import config_of, receiver
from support.speaker import SOURCE, Speaker, limit

ACTION = {"zh": "停止进料", "en": "stop the feed"}
TREND = {"settings": {"samples": 12, "horizon_s": 120}, "towards": ["HH"], "source": SOURCE, "action": ACTION}
DUTY = ReceiverConfig(
    name="duty-room", url="https://duty.example/", secret_env="NOT_READ_HERE", priorities=("blue", "red")
)


def level() -> Point:
    fields = {
        "zh": "液位", "en": "level", "unit": "m³/h", "type": "float64", "range": (0, 10),
        "limits": {"HH": limit(9.0, action=ACTION)}, "warnings": {"trend": TREND},
    }  # fmt: skip
    return Point.model_validate(fields)


def warned(folder: Path) -> list[dict[str, Any]]:
    """Let a warning be raised, acknowledged, shelved, cleared and unshelved; return its notices."""
    with host(folder, receivers=[DUTY]) as running:
        edge = Speaker(now_ms=running.now_ms, points={"level": level()})
        running.hear(*edge.birth())
        values = [5.0 + 0.04 * second for second in range(20)]
        for number, value in enumerate([*values, *[6.0] * 40]):
            edge.now_ms = running.now_ms = running.now_ms + 1000
            running.hear(edge.data([value]))
            running.tick()
            if number == 19:
                running.settle()
                row = running.standing()["TREND live"]
                running.act("acknowledge", occurrence=row["occurrence"], version=row["version"])
                until_ms = running.now_ms + 30_000
                running.act("shelve", alarm=row["alarm_id"], comment="feeding", until_ms=until_ms)
        running.settle()
        rows = running.state.rows(select(schema.TRANSITIONS.c.body).order_by(schema.TRANSITIONS.c.source_no))
        assert not {kind for kind in running.standing() if "SYSTEM" in kind}
        return [json.loads(row["body"]) for row in rows]


def test_s29_the_chain_holds_over_a_warnings_whole_life_and_names_evidence_that_was_changed(tmp_path: Path) -> None:
    told = warned(tmp_path)
    assert [one["event"] for one in told] == ["raised", "acknowledged", "shelved", "cleared", "unshelved"]
    assert len({json.dumps(one["evidence"], sort_keys=True) for one in told}) == 1
    assert broken(tmp_path) is None
    db = sqlite3.connect(tmp_path / "state.db")
    forged = json.dumps({**told[2], "evidence": {**told[2]["evidence"], "at_limit_in_s": 9999}}, ensure_ascii=False)
    db.execute("UPDATE transitions SET body = ? WHERE source_no = 3", [forged])
    db.commit()
    db.close()
    assert broken(tmp_path) == (3, "was changed after it was written")


def broken(folder: Path) -> tuple[int, str] | None:
    """Return where `davylamp-cloud verify` finds a chain broken."""
    state = State(folder / "state.db", looking=True)
    try:
        found = verify_chain(state)
    finally:
        state.close()
    return None if found is None else (found.number, found.reason)


async def test_s23_every_notice_of_a_warning_is_verified_by_its_receiver_with_all_its_evidence(tmp_path: Path) -> None:
    told = warned(tmp_path / "cloud")
    (tmp_path / "office").mkdir()
    async with receiver() as duty:
        config = config_of("duty", duty.url, tmp_path, priorities=LEVELS)
        with office(tmp_path / "office", [config]) as running:
            running.start()
            running.tell(told)
            await duty.until(lambda: len(duty.accepted) == len(told))
    received = [seen.content["data"] for seen in duty.accepted]
    assert [{name: got[name] for name in said} for got, said in zip(received, told, strict=True)] == told
    raised = received[0]
    assert raised["evidence"]["unit"] == "m³/h"
    assert raised["forecast"]["zh"] in raised["text"]["zh"]
