"""The register: every tag the cloud knows, what it is called, and the settings that are in force.

It is a function of the log like everything behind the monitor: births introduce, persons decide. It lives in memory
beside the engine and is stored in the monitor's transaction; no I/O here.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from davylamp_alarms.book import in_run
from davylamp_alarms.definition import AlarmDef, Changes, GroupDef, Kind, MaskDef, Priority, guarded_priority
from davylamp_wire.describe import DeviceDescription
from davylamp_wire.point import COMM_OK, Point, Text
from davylamp_wire.profile import DetectorGroup

from davylamp_cloud.chain import canonical
from davylamp_cloud.detector_groups import device_of, group_def, kept_with, member_tags
from davylamp_cloud.handling import Handling
from davylamp_cloud.registered import Introduced, Proposal, Tag
from davylamp_cloud.settings import (
    Settings,
    alarm_defs,
    clock_alarm,
    comm_alarm,
    differences,
    handling_in,
    is_guarded,
    keep_verified,
    link_alarm,
    mask_alarm,
    settings_of,
    tag_def,
    templates_of,
)
from davylamp_cloud.stored_tags import Group, Stored, Tags
from davylamp_cloud.tags import Birth, lost_tag
from davylamp_cloud.units import is_other

Key = tuple[str, ...]
WANTED = 1 << 13
"""Points whose wishes are remembered, so that births of one profile follow each other quickly."""

NODE_DEVICE = "_node"
"""Stands for the device in the ids of a foreign node's own metrics."""

LOST = Text(zh="登记记录已损坏", en="its birth is damaged on disk")
NONE = Settings(hazard_source="lost")
NOTHING: Counter[Priority] = Counter()

LINK = 2
"""A key of hazard source and node is a link's; with a device it is the device's."""


class Register:
    """Tags by index, and how much each device and each link guards.

    `switches` are the tags that switch masks on, `run` names the start since which proposals are made. `heard` is the
    birth each node and device said last, by its name: what was heard last says nothing new when it is heard again,
    whatever persons decided in between. `other_units` are the tags that a birth has in another unit than theirs.
    """

    def __init__(
        self,
        stored: Stored | None = None,
        proposals: Iterable[Proposal] = (),
        rejected: Iterable[tuple[int, Settings]] = (),
        other_units: Iterable[tuple[int, int]] = (),
    ) -> None:
        """Take on stored tags, open proposals, and those a person rejected; equal settings must be one object."""
        self.tags = Tags() if stored is None else stored.tags
        self._stored = stored
        self._before = len(self.tags)
        self.proposals = {proposal.id: proposal for proposal in proposals}
        self.heard: dict[str, int] = {}
        self._rejected = list(rejected)
        self.other_units: dict[int, frozenset[int]] = {}
        self._note(other_units)
        self._by_id: dict[str, int] = {}
        self._guards: dict[Key, Counter[Priority]] = {}
        self._comm: dict[Key, int] = {}
        self._interned: dict[str, Settings] = {}
        self._kept: dict[int, _Kept] = {}
        self._wanted: dict[tuple[int, str], _Wanted] = {}
        self.switches: frozenset[str] = frozenset()
        self.run = ""
        if stored is not None:
            self._take_on(stored)

    def __len__(self) -> int:
        return len(self.tags)

    def find(self, tag_id: str) -> Tag | None:
        """Return a tag by its id."""
        idx = self._place(tag_id)
        return None if idx is None else self.tags[idx]

    def _place(self, tag_id: str) -> int | None:
        """Return a tag's index; the stored ones are looked up where they are."""
        idx = self._by_id.get(tag_id)
        if idx is None and self._stored is not None:
            idx = self._stored.index(tag_id)
            return idx if idx is not None and idx < self._before else None
        return idx

    def guarded(self, hazard_source: str, node: str | None = None, device: str | None = None) -> int:
        """Return how many guarded points a hazard source has, all in all or through one node or device."""
        key = tuple(part for part in (hazard_source, node, device) if part is not None)
        return self._guards.get(key, NOTHING).total()

    def knows(self, birth: Birth) -> bool:
        """True where a birth says what its node or device said last."""
        return self.heard.get(_heard_from(birth)) == birth.id

    def text_of(self, settings: Settings) -> str:
        """Return settings as canonical JSON, written once for all tags that share them."""
        return self._of(settings).text

    def handling_of(self, settings: Settings, kind: Kind) -> Handling:
        """Return how an alarm of a tag with these settings is handled, found out once for all that share them."""
        known = self._of(settings).handling
        if kind not in known:
            known[kind] = handling_in(settings, kind)
        return known[kind]

    def introduce(self, seq: int, at_ms: int, birth: Birth, said: DeviceDescription, own: bool) -> Introduced:
        """Take on a birth: new tags with first settings, new words for known tags, proposals for what differs."""
        found = Introduced(at_ms, birth.id)
        self.heard[_heard_from(birth)] = birth.id
        for idx, name in sorted(zip(birth.indices, birth.names, strict=True)):
            if idx < 0 or name not in said.points:
                continue
            found.new += self._fill_up_to(idx, seq)
            wanted = self._tag_of(idx, birth, name, said, own, seq)
            if idx == len(self.tags):
                self._add(wanted)
                found.new.append(self.tags[idx])
            else:
                self._meet(self.tags[idx], wanted, at_ms, found)
        self._note(found.other_units)
        if found.new:
            found.changes = self._introduction(found.new, at_ms)
        return found

    def _note(self, other_units: Iterable[tuple[int, int]]) -> None:
        for birth, idx in other_units:
            self.other_units[birth] = self.other_units.get(birth, frozenset()) | {idx}

    def remember(
        self, births: Iterable[tuple[Birth, DeviceDescription]], tags: int, seq: int, at_ms: int
    ) -> tuple[list[Tag], Changes]:
        """Take on the tags up to a number whose births' records are gone, each as the newest of them says.

        They come oldest first. Left to the next births, a device that is born before another would leave the other's
        tags without limits, for a person to accept.
        """
        wanted: dict[int, Tag] = {}
        for birth, said in births:
            self.heard[_heard_from(birth)] = birth.id
            for idx, name in zip(birth.indices, birth.names, strict=True):
                if idx >= len(self.tags) and name in said.points:
                    wanted[idx] = self._tag_of(idx, birth, name, said, birth.own, seq)
        new: list[Tag] = []
        for idx in range(len(self.tags), tags):
            if idx in wanted:
                self._add(wanted[idx])
                new.append(self.tags[idx])
            else:
                new += self._fill_up_to(idx + 1, seq)
        return new, self._introduction(new, at_ms)

    def take_on(self, tags: list[Tag], at_ms: int) -> Changes:
        """Take on tags that follow those there are; return what the engine must change for them."""
        for tag in tags:
            self._add(replace(tag, settings=self._intern(tag.settings)))
        return self._introduction([self.tags[tag.idx] for tag in tags], at_ms)

    def alarms_of(self, tag: Tag) -> tuple[AlarmDef, ...]:
        """Return the definitions of a tag's alarms, that of its device's silence included."""
        defs = alarm_defs(tag.tag_id, tag.idx, tag.node, self._of(tag.settings).templates)
        if tag.tag_id in self.switches:
            defs = (*defs, mask_alarm(tag.tag_id, tag.idx, tag.settings))
        if tag.point != COMM_OK:
            return defs
        return (*defs, comm_alarm(tag.tag_id, tag.idx, tag.node, tag.settings, self._guard(_device_key(tag))))

    def watch_switches(self, masks: Iterable[MaskDef]) -> tuple[AlarmDef, ...]:
        """Note which tags are switches of masks; return the alarms of those that are born (SAFETY S17)."""
        self.switches = frozenset(mask.input for mask in masks if mask.input)
        found = [tag for name in sorted(self.switches) if (tag := self.find(name)) is not None]
        return tuple(mask_alarm(tag.tag_id, tag.idx, tag.settings) for tag in found)

    def links(self, tags: Iterable[Tag] | None = None) -> list[AlarmDef]:
        """Return the link and clock alarms of every node and hazard source that tags (all, if not named) lie in."""
        pairs = {(tag.node, tag.settings.hazard_source) for tag in (self.tags if tags is None else tags)}
        return [alarm for node, source in sorted(pairs) for alarm in self._of_node(node, source)]

    def _of_node(self, node: str, source: str) -> tuple[AlarmDef, AlarmDef]:
        """Return what an edge node's link and clock may say to a hazard source."""
        return link_alarm(node, source, self._guard((source, node))), clock_alarm(node, source)

    def acceptance(self, tag: Tag, settings: Settings, at_ms: int) -> Changes:
        """Return what the engine must change for a tag to have other settings; nothing is changed here."""
        before = {alarm.id for alarm in self.alarms_of(tag)}
        edited = replace(tag, settings=settings)
        alarms = (*self.alarms_of(edited), *self._guarding(tag, settings))
        removed = tuple(sorted(before - {alarm.id for alarm in alarms}))
        ranges = ((tag.idx, settings.range),) if settings.range != tag.settings.range else ()
        had, groups = self._groups_around(tag), self._groups_around(edited)
        fewer = tuple(sorted({group.id for group in had} - {group.id for group in groups}))
        return Changes(at_ms, alarms=alarms, removed=removed, ranges=ranges, groups=groups, removed_groups=fewer)

    def groups_of(self, comm: Tag, edited: Tag | None = None) -> tuple[GroupDef, ...]:
        """Return the groups of a device, by the tag that says whether it answers; `edited` as if it were in force."""
        device, source = device_of(comm.tag_id), comm.settings.hazard_source
        return tuple(
            group_def(device, name, group, source, self._guard_of(member_tags(device, group), edited))
            for name, group in comm.settings.groups.items()
        )

    def group(self, alarm: str) -> tuple[Tag, DetectorGroup] | None:
        """Return the group an alarm is about, and the tag it is kept with."""
        keeper, name = kept_with(alarm)
        comm = self.find(keeper)
        group = None if comm is None else comm.settings.groups.get(name)
        return None if comm is None or group is None else (comm, group)

    def _groups_around(self, tag: Tag) -> tuple[GroupDef, ...]:
        """Return the groups of a tag's device, as if the tag had the settings it is given here."""
        comm = self._comm.get(_device_key(tag))
        return () if comm is None else self.groups_of(tag if comm == tag.idx else self.tags[comm], tag)

    def areas(self) -> dict[str, frozenset[str]]:
        """Return the hazard sources each edge node guards something of."""
        found: dict[str, set[str]] = {}
        for key in self._guards:
            if len(key) == LINK:
                found.setdefault(key[1], set()).add(key[0])
        return {node: frozenset(sources) for node, sources in found.items()}

    def _guard_of(self, members: Iterable[str], edited: Tag | None) -> Priority:
        """Return how loud the loudest thing is that some tags guard."""
        known = [edited if edited and edited.tag_id == name else self.find(name) for name in members]
        return max([Priority.YELLOW, *(self._of(tag.settings).loudest for tag in known if tag is not None)])

    def _guarding(self, tag: Tag, settings: Settings) -> Iterator[AlarmDef]:
        """Yield the alarms of link and device that would guard louder or quieter things then (SAFETY S12)."""
        before, after = (
            self._guards_of(tag.node, tag.device, tag.settings),
            self._guards_of(tag.node, tag.device, settings),
        )
        changed = Counter(after)
        changed.subtract(before)
        for key in sorted({key for key, _ in changed}):
            then = Counter(self._guards.get(key, NOTHING))
            then.update({priority: count for (other, priority), count in changed.items() if other == key})
            loudest, comm = _loudest(then), self._comm.get(key, tag.idx)
            if loudest == self._guard(key):
                continue
            if len(key) == LINK:
                yield link_alarm(tag.node, key[0], loudest)
            elif comm != tag.idx:
                device = self.tags[comm]
                yield comm_alarm(device.tag_id, device.idx, device.node, device.settings, loudest)

    def put(self, tag: Tag) -> None:
        """Put a tag's new settings in force, after the engine took them."""
        for key, priority in self._guards_of(tag.node, tag.device, self.tags[tag.idx].settings):
            self._guards[key][priority] -= 1
        self.tags[tag.idx] = replace(tag, settings=self._intern(tag.settings))
        self._weigh(tag.node, tag.device, self.tags[tag.idx].settings)

    def _meet(self, known: Tag, wanted: Tag, at_ms: int, found: Introduced) -> None:
        """Compare a known tag with what a birth says of it: words change at once, settings wait for a person."""
        described = replace(wanted, settings=known.settings, born_seq=known.born_seq, version=known.version)
        described = replace(described, accepted_by=known.accepted_by)
        if replace(described, birth=known.birth) != known:
            self.tags[known.idx] = described
            found.described.append(described)
        if is_other(known.settings.unit, wanted.settings.unit, wanted.own):
            found.other_units.append((wanted.birth, known.idx))
        live = self._adopted(known, wanted)
        if live is not known.settings:
            found.adopted.append((known.idx, live))
        if wanted.settings is not live and keep_verified(live, wanted.settings) != live:
            found.proposals += self.propose(replace(known, settings=live), wanted.settings, wanted.born_seq, at_ms)

    def _adopted(self, known: Tag, wanted: Tag) -> Settings:
        """Return the settings in force once the limits of a local point are those its edge decides by."""
        settings = known.settings
        if not wanted.own or not (wanted.settings.local or settings.local):
            return settings
        limits = keep_verified(settings, wanted.settings).limits
        if (limits, wanted.settings.local) == (settings.limits, settings.local):
            return settings
        return settings.model_copy(update={"limits": limits, "local": wanted.settings.local})

    def propose(self, tag: Tag, settings: Settings, seq: int, at_ms: int) -> list[Proposal]:
        """Return the proposal of other settings, open from now on; none where a person was asked for the same."""
        if self._asked(tag.idx, settings):
            return []
        name, what = in_run(f"{tag.idx}-{seq}", self.run), differences(tag.settings, settings)
        proposal = Proposal(name, tag.idx, seq, settings, what, at_ms)
        self._propose(proposal)
        return [proposal]

    def reject(self, proposal: Proposal) -> None:
        """Close a proposal for good: births that want the same again are not asked about again."""
        del self.proposals[proposal.id]
        self._rejected.append((proposal.tag, proposal.settings))

    def _asked(self, tag: int, settings: Settings) -> bool:
        """True where a person was asked for the same settings already."""
        open_ones = ((proposal.tag, proposal.settings) for proposal in self.proposals.values())
        return (tag, settings) in [*open_ones, *self._rejected]

    def _propose(self, proposal: Proposal) -> None:
        """Keep the newest proposal of a tag open; an older one is superseded."""
        for name in [name for name, other in self.proposals.items() if other.tag == proposal.tag]:
            del self.proposals[name]
        self.proposals[proposal.id] = proposal

    def _introduction(self, new: list[Tag], at_ms: int) -> Changes:
        """Return new tags and their alarms for the engine, and every device and link that now guards more."""
        alarms = [alarm for tag in new for alarm in self.alarms_of(tag)]
        known = {alarm.id for alarm in alarms}
        devices = [self.tags[self._comm[key]] for key in sorted({_device_key(tag) for tag in new} & self._comm.keys())]
        for comm in devices:
            alarms += [alarm for alarm in self.alarms_of(comm) if alarm.id not in known]
        links = sorted({(tag.node, tag.settings.hazard_source) for tag in new})
        alarms += [alarm for node, source in links for alarm in self._of_node(node, source)]
        tags = tuple(tag_def(tag.tag_id, tag.node, tag.settings) for tag in new)
        groups = tuple(group for comm in devices for group in self.groups_of(comm))
        return Changes(at_ms, tags=tags, alarms=tuple(alarms), groups=groups)

    def _fill_up_to(self, idx: int, seq: int) -> list[Tag]:
        """Keep indices dense where the record of a birth was lost on disk: its tags stand in without alarms."""
        before = len(self.tags)
        for missing in range(before, idx):
            self._add(
                Tag(missing, lost_tag(missing), "lost/lost", "lost", str(missing), LOST, LOST, NONE, born_seq=seq)
            )
        return self.tags[before:]

    def _add(self, tag: Tag) -> None:
        self.tags.append(tag)
        self._by_id[tag.tag_id] = tag.idx
        comm = tag.idx if tag.point == COMM_OK else None
        self._count_in(Group(tag.node, tag.device, tag.settings, 1, comm))

    def guarding(self) -> bytes:
        """Return what devices and links guard, for a snapshot: counting a hundred thousand tags again takes long."""
        guards = [
            [key, {int(p): count for p, count in sorted(on.items()) if count}] for key, on in self._guards.items()
        ]
        return json.dumps({"guards": sorted(guards), "comm": sorted(self._comm.items())}).encode()

    def _take_on(self, stored: Stored) -> None:
        """Take on stored tags without looking at each."""
        for settings in stored.settings:
            self._intern(settings)
        for group in stored.groups:
            self._count_in(group)
        if stored.guarding:
            said = json.loads(stored.guarding)
            self._comm = {tuple(key): idx for key, idx in said["comm"]}
            for key, on in said["guards"]:
                self._guards[tuple(key)] = Counter({Priority(int(name)): count for name, count in on.items()})

    def _count_in(self, group: Group) -> None:
        """Count what a device and a link guard, and where the device says that it answers."""
        if group.comm is not None:
            self._comm[group.settings.hazard_source, group.node, group.device] = group.comm
        self._weigh(group.node, group.device, group.settings, group.count)

    def _weigh(self, node: str, device: str, settings: Settings, count: int = 1) -> None:
        for key, priority in self._guards_of(node, device, settings):
            self._guards.setdefault(key, Counter())[priority] += count

    def _guards_of(self, node: str, device: str, settings: Settings) -> list[tuple[Key, Priority]]:
        """Return through what a point with these settings is seen (hazard source, link, device), and how loud it is."""
        kept, source = self._of(settings), settings.hazard_source
        keys: list[Key] = [(source,), (source, node), (source, node, device)] if kept.guarded else []
        return [(key, kept.loudest) for key in keys]

    def _guard(self, key: Key) -> Priority:
        """Return how loud a link or a device is: as loud as the loudest thing seen through it now (SAFETY S12)."""
        return _loudest(self._guards.get(key, NOTHING))

    def _of(self, settings: Settings) -> "_Kept":
        """Return what follows from settings; kept together with them, so that their identity stays theirs."""
        kept = self._kept.get(id(settings))
        if kept is None or kept.settings is not settings:
            templates = templates_of(settings)
            loudest, text = guarded_priority(templates), canonical(settings.json_form())
            kept = _Kept(settings, templates, is_guarded(settings), loudest, text)
            self._kept[id(settings)] = kept
        return kept

    def _intern(self, settings: Settings) -> Settings:
        """Return one object for equal settings: a hundred thousand tags share a few profiles."""
        return self._interned.setdefault(settings.model_dump_json(), settings)

    def _wanted_by(self, point: Point, name: str, said: DeviceDescription) -> "_Wanted":
        """Return what a point wants; the same point of many devices is looked at once."""
        groups = said.groups if name == COMM_OK else {}
        key = (id(point), said.hazard_source)
        known = self._wanted.get(key)
        if known is None or known.point is not point or known.settings.groups != groups:
            if len(self._wanted) >= WANTED:
                self._wanted.clear()
            text, states = Text(zh=point.zh, en=point.en), tuple(sorted(point.states.items()))
            known = self._wanted[key] = _Wanted(
                point, self._intern(settings_of(point, said.hazard_source, groups)), text, states, point.type.value
            )
        return known

    def _tag_of(self, idx: int, birth: Birth, name: str, said: DeviceDescription, own: bool, seq: int) -> Tag:
        point = said.points[name]
        wanted = self._wanted_by(point, name, said)
        device = birth.device or NODE_DEVICE
        return Tag(
            idx=idx,
            tag_id=f"{birth.node}/{device}/{name}",
            node=birth.node,
            device=device,
            point=name,
            text=wanted.text,
            device_text=_device_text(said.zh, said.en),
            settings=wanted.settings,
            plant_tag=point.plant_tag,
            datatype=wanted.datatype,
            profile=said.profile,
            profile_version=said.profile_version,
            states=wanted.states,
            own=own,
            birth=birth.id,
            born_seq=seq,
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a point wants of its tag, in one hazard source."""

    point: Point
    settings: Settings
    text: Text
    states: tuple[tuple[str, Text], ...]
    datatype: str


def _heard_from(birth: Birth) -> str:
    return f"{birth.node}/{birth.device}"


def _loudest(guards: Counter[Priority]) -> Priority:
    return max([Priority.YELLOW, *(priority for priority, count in guards.items() if count > 0)])


@lru_cache(maxsize=1 << 12)
def _device_text(zh: str, en: str) -> Text:
    return Text(zh=zh, en=en)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What follows from settings alone."""

    settings: Settings
    templates: tuple[AlarmDef, ...]
    guarded: bool
    loudest: Priority
    text: str
    handling: dict[Kind, Handling] = field(default_factory=dict)


def _device_key(tag: Tag) -> Key:
    return tag.settings.hazard_source, tag.node, tag.device
