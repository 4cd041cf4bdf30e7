"""A benchmark's figures: named, with unit and target, as a table for people and one JSON line for machines."""

import json
import os
import platform
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, and the target DESIGN.md sets for it where there is one."""

    name: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """Return a figure that should not exceed a limit."""
    return Figure(name, value, unit, f"<= {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    """Return a figure that should reach a limit."""
    return Figure(name, value, unit, f">= {limit:g}", value >= limit)


@dataclass(slots=True)
class Report:
    """What one benchmark measured, and what stops the figures that miss.

    Args:
        code: What the command returns: 0, 1 where something was left out, 2 where nothing could be done.
    """

    benchmark: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    code: int = 0

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)

    def table(self) -> str:
        """Return the figures as aligned columns, the notes below."""
        rows = [("figure", "value", "unit", "target", "")]
        rows += [(f.name, number(f.value), f.unit, f.target, f.verdict) for f in self.figures]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "-" * len(lines[0]))
        return "\n".join([f"# {self.benchmark} ({machine()})", *lines, *(f"note: {note}" for note in self.notes)])

    def json(self) -> str:
        """Return the figures as one line."""
        figures = {f.name: {"value": f.value, "unit": f.unit, "target": f.target, "met": f.met} for f in self.figures}
        return json.dumps({"benchmark": self.benchmark, "machine": machine(), "figures": figures, "notes": self.notes})


def number(value: float) -> str:
    """Return a number with as many digits as it deserves."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine() -> str:
    """Return what ran it: cores and Python, because absolute figures depend on both."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"
