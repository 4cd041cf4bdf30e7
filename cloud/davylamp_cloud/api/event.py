"""One event of a stream: how it looks on the line."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is JSON or HTML."""

    name: str
    data: str
    id: int | None = None

    def encode(self) -> str:
        """Return the event's lines (WHATWG HTML, 9.2.6)."""
        head = f"event: {self.name}\n" if self.id is None else f"id: {self.id}\nevent: {self.name}\n"
        lines = self.data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return head + "".join(f"data: {line}\n" for line in lines) + "\n"


def dumps(value: object) -> str:
    """Return JSON with its text as it is read, and NaN refused rather than sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
