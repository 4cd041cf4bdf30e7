"""Who watches the demo's site from outside and tells what happens: the plant, the alarms, the notices, the operator."""

import asyncio
import json
from pathlib import Path
from typing import Any

from davylamp_simulators.crew import Child
from davylamp_simulators.figures import latency_ms
from davylamp_simulators.regulator import Received, read_received
from davylamp_simulators.story import Teller, notice_text
from davylamp_simulators.visitor import Visitor

LOOK_S = 0.25
SEEN_AFTER_S = 3.0
"""How long the demo's operator takes to acknowledge."""
SHOW_EVERY_S = 3.0
WORTH_TELLING = 0.005
"""Share of its range a value must have moved to be told; noise is below it."""


class Narrator:
    """Tells one run. `started` is set when the plant's clock runs; `raised` are the occurrences seen so far."""

    def __init__(self, teller: Teller, notices: Path) -> None:
        self.started = asyncio.Event()
        self.raised: set[str] = set()
        self._teller = teller
        self._notices = notices
        self._told: set[str] = set()
        self._after = 0

    async def listen(self, plant: Child) -> None:
        """Tell what the plant's scenario says, until the plant ends."""
        async for line in plant.lines():
            said = json.loads(line)
            if said.get("clock") == "started":
                self.started.set()
            elif "zh" in said:
                self._teller.say(self._teller.chosen(said))

    async def watch(self, visitor: Visitor) -> None:
        """Tell alarms, notices and values, and acknowledge, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_alarms(visitor, group))
            group.create_task(self._watch_notices())
            group.create_task(self._watch_values(visitor))

    async def _watch_alarms(self, visitor: Visitor, operator: asyncio.TaskGroup) -> None:
        """Tell every step of every alarm, and let the operator acknowledge each."""
        while True:
            for row in await self.new_transitions(visitor):
                raised = row["event"] == "raised"
                text = notice_text(_data_of(row), self._teller.language)
                self._teller.tell("raised" if raised else "step", text=text)
                if raised:
                    operator.create_task(self._acknowledge(visitor, row["occurrence"]))
            await asyncio.sleep(LOOK_S)

    async def new_transitions(self, visitor: Visitor) -> list[dict[str, Any]]:
        """Return the steps since the last call, and count the raised."""
        rows, self._after = await visitor.transitions(self._after)
        self.raised |= {row["occurrence"] for row in rows if row["event"] == "raised"}
        return rows

    async def _acknowledge(self, visitor: Visitor, occurrence: str) -> None:
        await asyncio.sleep(SEEN_AFTER_S)
        if await visitor.acknowledge(occurrence, self._teller.word("comment")):
            self._teller.tell("acknowledged", occurrence=occurrence)

    async def _watch_notices(self) -> None:
        """Tell every notice the regulator has believed."""
        while True:
            for one in read_received(self._notices):
                if one.id not in self._told:
                    self._told.add(one.id)
                    self._tell_notice(one)
            await asyncio.sleep(LOOK_S)

    def _tell_notice(self, one: Received) -> None:
        if one.body.get("type") == "alarm.raised":
            self._teller.tell("notice", id=one.id, ms=latency_ms(one))
        else:
            self._teller.tell("notice_step", id=one.id)

    async def _watch_values(self, visitor: Visitor) -> None:
        """Tell, now and then, the value that has moved most since the start."""
        first: dict[str, float] = {}
        while True:
            values = await visitor.values()
            for name, tag in values.items():
                if tag["value"] is not None:
                    first.setdefault(name, tag["value"])
            moved = {name: _moved(tag, first.get(name)) for name, tag in values.items()}
            most = max(moved, key=lambda name: moved[name], default="")
            if most and moved[most] > WORTH_TELLING:
                self._tell_value(values[most])
            await asyncio.sleep(SHOW_EVERY_S)

    def _tell_value(self, tag: dict[str, Any]) -> None:
        name = f"{self._teller.chosen(tag['name'])} {tag['plant_tag']}".strip()
        self._teller.tell("value", name=name, value=f"{tag['value']:.4g}", unit=tag["unit"])


def _data_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return a transition's notice data, which is stored as JSON beside its columns."""
    body = row.get("body")
    found = json.loads(body) if isinstance(body, str) else body or {}
    data: dict[str, Any] = found.get("data", found)
    return {**row, **data}


def _moved(tag: dict[str, Any], first: float | None) -> float:
    """Return how far a value is from its first, as a share of its range; without a range, of the first value."""
    value, span = tag["value"], tag["range"]
    if value is None or first is None or tag["kind"] == "status":
        return 0.0
    whole = span[1] - span[0] if span else 10 * abs(first)
    return abs(value - first) / whole if whole else 0.0
