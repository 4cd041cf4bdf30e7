"""The groups of detectors of a device, as the engine counts them (SAFETY S12, S18). Pure.

A group counts what its own detectors say: faulty, silent, out of service. A device or a link that is lost is said by
their own alarms, as loud as everything behind them, and would only be said again by each group.
"""

from davylamp_alarms.definition import GroupDef, Kind, Member, Priority, alarm_id
from davylamp_wire.point import COMM_OK
from davylamp_wire.profile import DetectorGroup


def device_of(comm: str) -> str:
    """Return the id of a device from that of the tag that says whether it answers."""
    return comm.removesuffix(f"/{COMM_OK}")


def kept_with(alarm: str) -> tuple[str, str]:
    """Return the tag that keeps the group an alarm is about, which says whether the device answers, and its name."""
    device, _, name = alarm.partition("#")[0].rpartition("/")
    return f"{device}/{COMM_OK}", name


def member_tags(device: str, group: DetectorGroup) -> tuple[str, ...]:
    """Return the ids of a group's tags, each once."""
    return tuple(f"{device}/{name}" for name in dict.fromkeys(group.members))


def group_def(device: str, name: str, group: DetectorGroup, hazard_source: str, guard: Priority) -> GroupDef:
    """Return a group as the engine knows it; `guard` is the highest priority among what its members guard.

    A birth is taken whatever its numbers: more votes than there are detectors are no vote, and a vote is never below
    what its members say alone.
    """
    members = tuple(_member(tag, Kind(group.limit)) for tag in member_tags(device, group))
    return GroupDef(
        id=f"{device}/{name}",
        hazard_source=hazard_source,
        members=members,
        need=group.need if group.need <= len(members) else 0,
        blind_at=min(group.blind_at, len(members)),
        priority=max(Priority.of(group.priority), guard),
        guard=guard,
        zh=group.zh,
        en=group.en,
    )


def _member(tag: str, limit: Kind) -> Member:
    return Member(alarm_id(tag, limit), (alarm_id(tag, Kind.FAULT), alarm_id(tag, Kind.STALE)))
