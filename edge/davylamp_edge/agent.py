"""The edge agent, wired: scanner → journal → uplink, and a clean stop. The only file that knows all parts.

scanner ─ScanResult─► encode ─Entry─► writer ─(on disk)─► uplink ─► broker
(event loop)                          (thread)            (thread, and paho's)
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from davylamp_wire.config import ConfigError
from davylamp_wire.local_alarm import EdgeWord, encode_word
from davylamp_wire.payload import SparkplugType, metrics_body
from davylamp_wire.profile import Profile
from davylamp_wire.quality import GOOD, Reason, bad, uncertain
from davylamp_wire.reading import Readings, Value

from davylamp_edge.alarm_memory import note_left
from davylamp_edge.beacon.asking import serve, socket_of
from davylamp_edge.beacon.beacon import Beacon
from davylamp_edge.birth import Births, Tags, nothing_stands
from davylamp_edge.boot_clock import BootClock, steady_ms
from davylamp_edge.config import EdgeConfig, opcua_files
from davylamp_edge.install import Installed, any_local, install, install_self
from davylamp_edge.journal import Journal
from davylamp_edge.journal_file import JournalUnreadable
from davylamp_edge.machine import MACHINE, Machine
from davylamp_edge.opcua_expiry import OpcuaCertificates
from davylamp_edge.records import Entry, JournalClass
from davylamp_edge.reload import Load, Reloader, fixed_mistakes
from davylamp_edge.report import ScanResult, utc_ms
from davylamp_edge.scan import Plan, Scanner
from davylamp_edge.self_monitoring import SelfMonitor, figures_of
from davylamp_edge.standby import watch
from davylamp_edge.status import Snapshot, StatusServer
from davylamp_edge.tls import files_of
from davylamp_edge.uplink import Uplink
from davylamp_edge.watchdog import Part, Watchdog
from davylamp_edge.ways import ways_of
from davylamp_edge.writer import Writer

if TYPE_CHECKING:
    from davylamp_edge.local_alarms import LocalAlarms

log = structlog.get_logger(__name__)

CLOCK_EVERY_S = 1.0
LOCAL_TICK_S = 0.2
"""How often delays of alarms decided here may fall due, as in the cloud (decision 0008)."""
CLOCK_KEPT = "clock"
NEWEST = 9
"""Records that tell what time it was last."""

PURGE_EVERY_S = 60.0
LOOK_EVERY_S = 3600.0
HOUR_MS = 3_600_000

T = TypeVar("T")


class Agent:
    """One edge node. Making it opens the journal; running it polls, journals and sends until told to stop."""

    def __init__(
        self,
        config: EdgeConfig,
        profiles: Mapping[str, Profile],
        *,
        load: Load | None = None,
        now_ms: Callable[[], int] = utc_ms,
        steady_ms: Callable[[], int] = steady_ms,
    ) -> None:
        self._config = config
        self._now_ms = now_ms
        self._unfit = 0
        self._steady_ms = steady_ms
        self.scanner = Scanner(config, profiles, self._take, now_ms=now_ms, see=self._see)
        self.journal = Journal.open(config.journal.path, config.journal.max_bytes, now_ms=now_ms)
        self.boot_clock = BootClock(
            self.journal.kept(CLOCK_KEPT),
            lambda text: self.journal.keep(CLOCK_KEPT, text),
            self.journal.newest(NEWEST),
            self.journal.last_record,
            wall_ms=now_ms,
            steady_ms=steady_ms,
        )
        self._opcua_certificates = OpcuaCertificates()
        self._machine = Machine(config.journal.path)
        own = install_self(config, profiles, self._silent(config, self.scanner.devices))
        self._births = Births(self.journal, _with_self(self.scanner.devices, own), self._standing, now_ms)
        self._self = SelfMonitor(own, self._take, self._figures, now_ms)
        self._fingerprint = _fingerprint(config)
        self.uplink = Uplink(config, self.journal, self._births, now_ms=now_ms, stamped=self.boot_clock.stamped)
        self.writer = Writer(self.journal, self.uplink.offer)
        self.local_alarms: LocalAlarms | None = None
        self._decide_locally(self.scanner.devices)
        self.beacon = Beacon(config.beacon, self.local_alarms, self.uplink.engine, polled=_polled(config))
        self.reloader = Reloader(load or (lambda: (config, profiles)), self.follow)
        self.status = StatusServer(config.status, self.snapshot)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll, journal and send until `stop` is set; then write and send what is left, and say goodbye."""
        self.writer.start()
        self.uplink.start()
        log.info("edge started", node=self._config.node, epoch=self.journal.epoch, next=self.journal.last_record + 1)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.scanner.run(stop))
                group.create_task(self._self.run(stop))
                group.create_task(self._purge(stop))
                group.create_task(self._watch_clock(stop))
                group.create_task(self._tick_local_alarms(stop))
                group.create_task(self._look_at_certificates(stop))
                group.create_task(self.reloader.run(stop))
                group.create_task(self.status.run(stop))
                group.create_task(self.beacon.run(stop))
                group.create_task(serve(self.beacon, socket_of(self._config.journal.path), stop))
                group.create_task(watch(self.uplink.ways, lambda: self._config, stop))
                group.create_task(Watchdog(self._parts).run(stop))
        finally:
            await asyncio.shield(asyncio.to_thread(self.close))

    def close(self) -> None:
        """Write what is queued, tell the cloud, close the journal. Safe where nothing was started."""
        self.writer.stop()
        self.uplink.stop()
        self.journal.close()
        log.info("edge stopped", node=self._config.node, last=self.journal.last_record)

    def _silent(self, config: EdgeConfig, devices: Sequence[Installed]) -> set[str]:
        """Return what of itself this edge cannot tell: a board may have no thermometer, a broker no certificate."""
        silent = set(MACHINE) - self._machine.figures().keys()
        if all(way.tls is None for way in ways_of(config.broker)):
            silent |= {"certificate_days", "certificate_last_day"}
        if not opcua_files(config):
            silent |= {"opcua_certificate", "opcua_certificate_days", "opcua_certificate_last_day"}
        if config.broker.standby is None:
            silent |= {"ways_lost", "on_standby"}
        if config.beacon is None:
            silent |= {"beacon", "beacon_lost"}
        if not any_local(devices):
            silent.add("alarms_failing")
        if config.one_way:
            silent.add("clock_offset")  # nobody tells it the time
        return silent

    def _figures(self) -> Mapping[str, Value]:
        return figures_of(self.snapshot(), self._machine.figures())

    async def follow(self, config: EdgeConfig, profiles: Mapping[str, Profile]) -> None:
        """Do as another config says; lines it says nothing new about never notice.

        The order is what keeps every record readable: the last records of the lines that end are on disk before the
        births change, and those are told before the first record of a line that begins.

        Raises: ConfigError where the config cannot be followed; nothing has changed then. Whatever else fails in the
        middle ends the agent, and the service manager starts it with the new config.
        """
        plan, own, births = await asyncio.to_thread(self._prepared, config, profiles)
        await self.scanner.end(plan)
        await asyncio.to_thread(self.writer.flush)
        births.inherit(self._births)
        self._births, self._config, self._fingerprint = births, config, _fingerprint(config)
        self._self.become(own)
        self._decide_locally(plan.devices)
        self.uplink.follow(config, births)
        self.beacon.become(config.beacon, _polled(config))
        self.beacon.hear(self.local_alarms)
        self.scanner.begin(plan)
        await asyncio.to_thread(self._look)
        kept = len(plan.lines) - len(plan.beginning)
        log.info("config reloaded", lines_kept=kept, lines_ended=len(plan.ending), lines_begun=len(plan.beginning))

    def _prepared(self, config: EdgeConfig, profiles: Mapping[str, Profile]) -> tuple[Plan, Installed | None, Births]:
        """Do all of it that can be refused, in a thread: aliases of new points take the disk."""
        mistakes = list(fixed_mistakes(self._config, config))
        try:
            config.broker.password()
        except ConfigError as error:
            mistakes.extend(error.mistakes)
        if mistakes:
            raise ConfigError(mistakes)
        devices = install(config, profiles)
        own = install_self(config, profiles, self._silent(config, devices))
        try:
            births = Births(self.journal, _with_self(devices, own), self._standing, self._now_ms)
        except (sqlite3.Error, JournalUnreadable) as error:
            raise ConfigError([f"journal.path: the disk takes nothing now ({error}); reload when it does"]) from error
        return self.scanner.planned(devices, every=config.report == "every"), own, births

    def _parts(self) -> list[Part]:
        """Return what must move on for the edge to be of use: its lines, and the thread that writes."""
        lines = [Part(f"line of {name}", steps, busy, wait) for name, steps, busy, wait in self.scanner.lines()]
        beacon = Part("beacon", self.beacon.steps, busy=self._config.beacon is not None)
        return [*lines, Part("writer", self.writer.steps + self.journal.steps, self.writer.busy), beacon]

    async def _purge(self, stop: asyncio.Event) -> None:
        """Let confirmed records go once they have been kept long enough (SAFETY S27)."""
        while not await _waited(stop, PURGE_EVERY_S):
            with contextlib.suppress(JournalUnreadable):  # said already; the disk may be back in a minute
                while await asyncio.to_thread(self.purge):
                    pass

    def purge(self) -> int:
        """Let some confirmed records go that were kept long enough; return how many went."""
        keep_ms = int(self._config.journal.confirmed_hours * HOUR_MS)
        return self.journal.purge(self._now_ms() - keep_ms, self.boot_clock.known_ms)

    async def _watch_clock(self, stop: asyncio.Event) -> None:
        """Compare the wall clock with the steady one, and see that the journal is where it was, each second."""
        while not await _waited(stop, CLOCK_EVERY_S):
            await asyncio.to_thread(self._look_around)

    def _look_around(self) -> None:
        self.look_at_clock()
        self.journal.look()

    def look_at_clock(self) -> None:
        """Notice a clock that is wrong, or that was set; what was stamped before must have its number by then."""
        if self.boot_clock.wrong:
            self.writer.flush()
        if self.boot_clock.look(self.journal.last_record, self.uplink.clock.ms):
            self.uplink.clock.forget()
            if self.local_alarms is not None:
                self.local_alarms.keep_anew()

    async def _look_at_certificates(self, stop: asyncio.Event) -> None:
        """Read when certificates end, now and again and again: somebody may renew them."""
        while not stop.is_set():
            await asyncio.to_thread(self._look)
            await _waited(stop, LOOK_EVERY_S)

    def _look(self) -> None:
        self.uplink.certificates.look(files_of(self._config.broker), self._now_ms())
        self._opcua_certificates.look(self._config, tuple(self.scanner.statuses.values()), self._now_ms())

    def _take(self, result: ScanResult) -> None:
        """Encode a scan and queue it for the disk. An error here is this scan's loss and nobody else's silence."""
        tags = self._births.tags[result.device]
        together = tags.together(result.points)
        qualities = result.qualities
        if result.arrived_ms < self.boot_clock.right_from_ms:
            qualities = [quality or uncertain(Reason.CLOCK) for quality in qualities]
        tags.remember(result.points, result.values, qualities, result.times_ms)
        readings = Readings(together.aliases, result.times_ms, result.values, qualities)
        journal_class = JournalClass[result.journal_class.upper()]
        entry = Entry(result.device, journal_class, self._body(readings, tags, together.only), min(result.times_ms))
        self.writer.submit(entry, more_comes=self.scanner.reads_several)

    # Alarms decided here

    def _decide_locally(self, devices: Sequence[Installed]) -> None:
        """Decide the alarms of local points from now on; what was kept of them lies in the journal."""
        if self.local_alarms is None:
            if not any_local(devices):
                note_left(self.journal)
                return
            # Imported late: a gateway that decides nothing has no NumPy.
            from davylamp_edge.local_alarms import begun

            self.local_alarms = begun(self._config, self.journal, self._tell_alarms, self._now_ms, self._steady_ms)
        self.local_alarms.follow(devices)

    def _see(self, device: str, points: Sequence[int], *columns: Sequence[Any]) -> None:
        if self.local_alarms is not None:
            self.local_alarms.see(device, points, *columns)

    def _standing(self, device: str, stamp_ms: int) -> str:
        said = nothing_stands if self.local_alarms is None else self.local_alarms.text
        return said(device, stamp_ms)

    def _tell_alarms(self, device: str, word: EdgeWord, kept: Mapping[str, str]) -> None:
        """Journal what changed in the gravest class, and what is to be kept of it in the same transaction."""
        if not word.alarms:
            self.writer.keep(kept)
            return
        if self.boot_clock.wrong:
            doubted = (alarm._replace(quality=alarm.quality or uncertain(Reason.CLOCK)) for alarm in word.alarms)
            word = word._replace(alarms=tuple(doubted))
        stamp_ms, alias = min(alarm.time_ms for alarm in word.alarms), self._births.tags[device].alarm_alias
        assert alias is not None
        readings = Readings([alias], [stamp_ms], [encode_word(word, stamp_ms)], [GOOD])
        body = metrics_body(readings, {alias: SparkplugType.STRING})
        self.writer.submit(Entry(device, JournalClass.ALARM, body, stamp_ms), kept)

    async def _tick_local_alarms(self, stop: asyncio.Event) -> None:
        while not await _waited(stop, LOCAL_TICK_S):
            if self.local_alarms is not None:
                self.local_alarms.tick()

    def _body(self, readings: Readings, tags: Tags, only: int | None) -> bytes:
        try:
            return metrics_body(readings, tags.types, only)
        except ValueError:
            return b"".join(self._metric(readings, position, tags) for position in range(len(readings)))

    def _metric(self, readings: Readings, position: int, tags: Tags) -> bytes:
        """Encode one reading by itself; a value that does not fit its type is bad, and said once a scan class."""
        at = slice(position, position + 1)
        one = Readings(readings.aliases[at], readings.times_ms[at], readings.values[at], readings.qualities[at])
        try:
            return metrics_body(one, tags.types)
        except ValueError as error:
            self._unfit += 1
            if self._unfit == 1:
                log.error("a value does not fit its type, sent as bad", device=tags.installed.name, error=str(error))
            unfit = Readings(one.aliases, one.times_ms, [None], [bad(Reason.DEVICE_FAULT)])
            return metrics_body(unfit, tags.types)

    def snapshot(self) -> Snapshot:
        """Return how everything is doing."""
        statuses = tuple(self.scanner.statuses.values())
        share, oldest = self.journal.waiting()
        oldest_ms = None if oldest is None else self.boot_clock.right_ms(*oldest)
        return Snapshot(
            node=self._config.node,
            state=self.uplink.state,
            refusal=self.journal.refusal,
            journal_bytes=self.journal.size(),
            backlog=self.journal.backlog(),
            backlog_age_s=0.0 if oldest_ms is None else max(0, self._now_ms() - oldest_ms) / 1000,
            buffer_percent=round(100 * share, 1),
            last_record=self.journal.last_record,
            holes=len(self.journal.holes),
            damaged=self.journal.damaged,
            lost=dict(self.journal.lost),
            appended=self.writer.appended,
            batches=self.writer.batches,
            waiting=self.writer.waiting,
            unfit=self._unfit,
            in_flight=self.uplink.in_flight,
            resent=self.uplink.resent,
            backlog_rate=self.uplink.backlog_rate,
            clock_offset_ms=self.uplink.clock.ms,
            clock_wrong=self.boot_clock.wrong,
            certificates=self.uplink.certificates.days(self._now_ms()),
            opcua_certificates=self._opcua_certificates.days(statuses, self._now_ms()),
            uplink=self.uplink.counters,
            published=self.uplink.published,
            reloads=self.reloader.count,
            devices=statuses,
            config=self._fingerprint,
            ways=self.uplink.ways.fares(),
            way_changes=self.uplink.ways.changes,
            beacon=self.beacon.status(),
            local_alarms={} if self.local_alarms is None else self.local_alarms.figures(),
        )


def _with_self(devices: Sequence[Installed], own: Installed | None) -> Sequence[Installed]:
    return devices if own is None else (*devices, own)


def _polled(config: EdgeConfig) -> frozenset[str]:
    """Return the addresses of the plant's Modbus devices."""
    return frozenset(device.address for device in config.devices if device.driver == "modbus")


def _fingerprint(config: EdgeConfig) -> str:
    return sha256(config.model_dump_json().encode()).hexdigest()[:12]


async def _waited(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True as soon as `stop` is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # `wait_for` makes a task each time
            await stop.wait()
    return stop.is_set()
