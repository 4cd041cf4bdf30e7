"""docs/wire.md draws the sessions, and where the edge departs from Sparkplug, from their tables."""

import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from davylamp_wire import edge_session, host_session

PAGE = Path(__file__).parents[2] / "docs" / "wire.md"
ASSERTIONS = Path(__file__).parents[1] / "support" / "sparkplug" / "assertions.toml"


def drawn(table: Mapping[Any, Mapping[Any, tuple[Any, Any]]], events: Iterable[StrEnum]) -> str:
    """Return a session's table in Markdown: state by event, the next state, and what is done."""
    columns = list(events)
    lines = [f"| state | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for state, row in table.items():
        cells = [_cell(state, *row[event]) if event in row else "" for event in columns]
        lines.append(f"| {' | '.join([f'**{state}**', *cells])} |")
    return "\n".join(lines)


def _cell(state: StrEnum, after: StrEnum, action: StrEnum | None) -> str:
    step = "stays" if after is state else str(after)
    return step if action is None else f"{step}, *{action}*"


def departures() -> str:
    """Return where the edge does otherwise than Sparkplug says, in Markdown."""
    table = tomllib.loads(ASSERTIONS.read_text(encoding="utf-8"))["departs"]
    rows = [
        f"| `{name.removeprefix('tck-id-')}` | {row['text']} | {row['instead']} | {row['why']} |"
        for name, row in table.items()
    ]
    return "\n".join(["| `tck-id-` | Sparkplug 3.0 | Davylamp | because |", "| --- | --- | --- | --- |", *rows])


PICTURES = {
    "departures": departures(),
    "edge-session": drawn(edge_session.TABLE, edge_session.EdgeEvent),
    "host-session": drawn(host_session.TABLE, host_session.NodeEvent),
}


@pytest.mark.parametrize("name", list(PICTURES))
def test_the_page_shows_the_table_in_force(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = page.split(f"<!-- {name}:", 1)[1].split("-->\n", 1)[1].split("<!-- end -->", 1)[0].strip()
    assert shown == PICTURES[name], f"put this into docs/wire.md:\n{PICTURES[name]}"
