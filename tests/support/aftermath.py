"""What must hold of a whole site after trouble: the ledger, the chain, what the regulator got, the order."""

from contextlib import closing
from typing import Any

from davylamp_cloud.log import Log
from davylamp_cloud.readings import slice_of

from support.site import WholeSite, until

AFTERWARDS_MS = 6_000
"""How long the plant goes on after the killed part is back."""


def leak_acknowledged(site: WholeSite) -> dict[str, Any]:
    """Wait for the leak's L2, acknowledge it, and return it as it stands then."""
    until(lambda: site.standing("L2"))
    alarm = site.standing("L2")
    assert alarm is not None
    site.acknowledge(alarm)
    return {each["alarm_id"]: each for each in site.alarms()}[alarm["alarm_id"]]


def goes_on(site: WholeSite) -> None:
    """Wait until new readings have come through the whole path for a while."""
    tag = "demo/edge-1/cl2-store/cl2_1"

    def newest_ms() -> int:
        rows = site.client.get("/api/v1/tags", params={"limit": 500}).raise_for_status().json()["items"]
        return next(int(row["time_ms"]) for row in rows if row["tag"] == tag)

    began_ms = newest_ms()
    until(lambda: newest_ms() > began_ms + AFTERWARDS_MS)


def holds_together(site: WholeSite, before: dict[str, Any]) -> None:
    """Stop the plant and hold everything against the ledger, the chain and what the regulator got."""
    after = {each["alarm_id"]: each for each in site.alarms()}[before["alarm_id"]]
    assert (after["occurrence"], after["acknowledged"]) == (before["occurrence"], True)
    site.end("plant")
    found = site.settled()
    assert found.lost == []
    assert found.extra == [], "stored without having been served, or stored twice"
    assert found.matched > 200
    until(lambda: {row["id"] for row in site.transitions()} <= {one.id for one in site.received()})
    told = {row["id"] for row in site.transitions()}
    heard = [one.id for one in site.received()]
    assert set(heard) == told
    names = [(one.data["occurrence"], one.data["version"]) for one in site.received() if not one.again]
    assert len(names) == len(set(names)), "a transition came under two webhook-ids"


def live_values_are_in_order(site: WholeSite) -> None:
    """Hold the log of a cloud that has ended against docs/wire.md, "Order"."""
    newest: dict[int, int] = {}
    with closing(Log(site.stage.data_dir / "log.db", looking=True)) as log:
        at = 0
        while records := log.read(at, 1000):
            at = records[-1].seq
            found = slice_of(records, log.births).batch
            live = ~found.late
            for tag, time_ms in zip(found.tag[live].tolist(), found.time_ms[live].tolist(), strict=True):
                assert time_ms >= newest.get(tag, 0), f"{log.births.tag_ids[tag]} at {time_ms}"
                newest[tag] = time_ms
    assert len(newest) > 20, "this run says nothing"
