"""Draws docs/alarm-lifecycle.md from the lifecycle's tables: ``python -m davylamp_alarms.lifecycle_page``."""

from pathlib import Path

from davylamp_alarms.lifecycle import HIDDEN_LETTERS, LETTERS, STEPS, SUPPRESSING, IllegalTransition, State, step
from davylamp_alarms.transition import Event, Letter

MEANINGS = {
    Letter.A: ("正常", "normal"),
    Letter.B: ("未确认报警", "unacknowledged alarm"),
    Letter.C: ("已确认报警", "acknowledged alarm"),
    Letter.D: ("已恢复未确认", "returned to normal, unacknowledged"),
    Letter.E: ("锁存未确认", "latched, unacknowledged"),
    Letter.F: ("锁存已确认", "latched, acknowledged"),
    Letter.G: ("已搁置", "shelved"),
    Letter.H: ("设计抑制", "suppressed by design"),
    Letter.I: ("停用", "out of service"),
}

HEAD = """# Life of an alarm 报警的生命周期

Drawn from the tables in `alarms/davylamp_alarms/lifecycle.py` by `python -m davylamp_alarms.lifecycle_page`;
a test keeps it so. Do not edit by hand.

Process condition, data quality, acknowledgement, latch and the set of suppressions are separate fields. The letters of
ISA-18.2 are derived from them. Quality is the tag's own and moves no other field.
"""

TAIL = """## What the engine does beside the table

- `raised` always begins a new occurrence with its own id and version 1; the latch is inherited, the acknowledgement is
  not. An acknowledgement names occurrence and version, so a late one never silences a new one.
- An alarm has two lanes. `live` is the present. `late` is what backlog or disorder told of the past (SAFETY S5): an
  excursion of HH, LL, L2 or any red is raised there in state E, latched and unacknowledged, with its from and until;
  lower ones are `recorded` in state A. A reader keeps alarms by (alarm, lane).
- `latched` happens together with `raised`, and is not written as a transition of its own.
- `closed` is only ever the end by a limit change of two persons (SAFETY S20).
- Hidden alarms are evaluated and written like all others. What began while hidden comes back unacknowledged, on
  manual unshelving too (SAFETY S16; stricter than ISA-18.2's recommendation).
- What hides: a shelf (one limit of one tag), a mask (what its definition names, no ceiling limit; suppressed by
  design), an instrument out of service (all alarms of its tag). Each ends by a tick at its time, whose transition
  carries `due_ms`; a mask also by a good 0 of its switch, on the next tick. Leaving one leaves no other.
- Shelves of one operating position end a minute apart, never later than asked and not before half of the time. A mask
  or an instrument ends whole: what it hid was one act.
- `break_glass` on a transition: one person did what needs two, and a review is owed within 24 hours (SAFETY S15).
- Only a good live value inside the limit by its deadband and off-delay gives `cleared` (SAFETY S4). An off-delay ends
  with such a value within a second of a tick: later, what seems to have passed may be a clock that was set (SAFETY S3).
- An alarm of a `local` point is `raised` and `cleared` by its edge's word and by no reading here (decision 0024);
  whatever else is in the table happens to it as to any other. Its transitions name the edge's own occurrence.
"""


def page() -> str:
    """Return the page."""
    parts = [HEAD, "## States", _states(), "## Diagram", _diagram(), "## Every state and event", _matrix(), TAIL]
    return "\n".join(parts)


def _states() -> str:
    lines = ["| | 状态 | state | condition | acknowledged | latched |", "| --- | --- | --- | --- | --- | --- |"]
    for (condition, acknowledged, latched), letter in LETTERS.items():
        zh, en = MEANINGS[letter]
        lines.append(f"| {letter} | {zh} | {en} | {condition} | {_yes(acknowledged)} | {_yes(latched)} |")
    for _, letter in reversed(HIDDEN_LETTERS):
        zh, en = MEANINGS[letter]
        lines.append(f"| {letter} | {zh} | {en} | any | any | any |")
    return "\n".join(lines) + "\n"


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> A"]
    lines += [f"    {letter}: {letter} {en}" for letter, (_, en) in MEANINGS.items()]
    arrows = {
        (LETTERS[before], LETTERS[after], event)
        for event, moves in STEPS.items()
        for before, after in moves.items()
        if event is not Event.CLOSED and LETTERS[before] != LETTERS[after]
    }
    lines += [f"    {before} --> {after}: {event}" for before, after, event in sorted(arrows)]
    return "\n".join([*lines, "```"]) + "\n"


def _matrix() -> str:
    """Return what each event makes of each visible state; an empty cell is refused."""
    events = [event for event in Event if event not in SUPPRESSING]
    lines = [f"| | {' | '.join(events)} |", "| --- |" + " --- |" * len(events)]
    for fields in LETTERS:
        state = State(*fields)
        latch = " (latched)" if state.latched and state.letter in (Letter.B, Letter.C) else ""
        lines.append(f"| {state.letter}{latch} | {' | '.join(_after(state, event) for event in events)} |")
    hiding = [f"`{event}` {'adds' if hides else 'removes'} *{what}*" for event, (what, hides) in SUPPRESSING.items()]
    note = "Suppressions form a set and move no other field: " + ", ".join(hiding) + "."
    return "\n".join([*lines, "", note, "", "While anything hides it: no acknowledged, reset, re_alarmed."]) + "\n"


def _after(state: State, event: Event) -> str:
    try:
        return str(step(state, event).letter)
    except IllegalTransition:
        return ""


if __name__ == "__main__":
    Path("docs/alarm-lifecycle.md").write_text(page(), encoding="utf-8")
