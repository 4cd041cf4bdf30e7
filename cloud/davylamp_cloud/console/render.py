"""Templates in a reader's language: what they may call, and the files they link to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from davylamp_alarms.definition import Kind
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from davylamp_cloud import telling
from davylamp_cloud.api.language import Bilingual, Language, both, mark, translate
from davylamp_cloud.api.words import PRIORITIES, STATES, number, of
from davylamp_cloud.config import CloudConfig, Role, clock_of
from davylamp_cloud.kept import keep, kept
from davylamp_cloud.settings import SYSTEM_SOURCE

HERE = Path(__file__).parent
OWN_NAMES = {Language.ZH: "中文", Language.EN: "English"}

ROLES = {
    Role.VIEWER: mark("Viewer"),
    Role.OPERATOR: mark("Operator"),
    Role.ENGINEER: mark("Engineer"),
    Role.REGULATOR: mark("Regulator"),
    Role.ADMINISTRATOR: mark("Administrator"),
}


OPTIONS: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}


class Compiled(BytecodeCache):
    """Templates as compiled before, by this Jinja and with these options; Jinja sees whether the text is the same."""

    def __init__(self) -> None:
        self._mark = f"{version('jinja2')} {OPTIONS}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """Return the template's file."""
        return filename or name

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill in what was kept, if anything was."""
        if compiled := kept(Path(bucket.key), self._mark):
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        keep(Path(bucket.key), self._mark, bucket.bytecode_to_string())


@cache
def environment() -> Environment:
    """Return the template environment; a name a template does not get is an error, not an empty place."""
    loader = FileSystemLoader(HERE / "templates")
    return Environment(loader=loader, undefined=StrictUndefined, bytecode_cache=Compiled(), **OPTIONS)


def prepare() -> None:
    """Compile every template and catalogue, where they can be kept: while an image is built."""
    for name in environment().list_templates(extensions=["html"]):
        environment().get_template(name)
    for language in Language:
        translate(language, "")


@cache
def static(name: str) -> str:
    """Return the address of a file, with a mark of its content so that an upgrade is seen at once."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?{digest}"


def symbol(name: str, extra: str = "") -> Markup:
    """Return a symbol of the page's sprite."""
    return Markup('<svg class="symbol {}" aria-hidden="true"><use href="#s-{}"></use></svg>').format(extra, name)


@dataclass(frozen=True, slots=True)
class Reader:
    """Someone in front of the page: their language and the site's clock."""

    language: Language
    zone: ZoneInfo

    def render(self, template: str, **values: Any) -> str:
        """Return a template filled in, in the reader's language."""
        return environment().get_template(template).render(**self._words(), **values)

    def say(self, text: Bilingual) -> str:
        return text.in_(self.language)

    def translate(self, message: str, **values: Any) -> str:
        return translate(self.language, message, **values)

    def source_name(self, hazard_source: str) -> str:
        """Return what a hazard source is called; the system's own alarms belong to none."""
        return self.translate(mark("Davylamp itself")) if hazard_source == SYSTEM_SOURCE else hazard_source

    def clock(self, time_ms: int) -> str:
        """Return the site's time of day; with the date where it may be another day."""
        return telling.clock(time_ms, self.zone, "%m-%d %H:%M:%S")

    def day(self, time_ms: int) -> str:
        """Return the site's date and time to the minute; the year belongs to it where somebody looks far back."""
        return telling.clock(time_ms, self.zone, "%Y-%m-%d %H:%M")

    def time_of_day(self, time_ms: int) -> str:
        return telling.clock(time_ms, self.zone, "%H:%M")

    def to_the_second(self, time_ms: int) -> str:
        return telling.clock(time_ms, self.zone, "%H:%M:%S")

    def _words(self) -> Mapping[str, Any]:
        return {
            "_": self.translate,
            "say": self.say,
            "source_name": self.source_name,
            "clock": self.clock,
            "day": self.day,
            "time_of_day": self.time_of_day,
            "to_the_second": self.to_the_second,
            "number": number,
            "symbol": symbol,
            "static": static,
            "language": self.language,
            "languages": tuple(Language),
            "own_name": OWN_NAMES.__getitem__,
            "zone": self.zone.key,
            "priority_name": lambda level: self.say(both(PRIORITIES[level])),
            "kind_name": lambda kind: self.say(of(telling.KINDS[Kind(kind)])),
            "state_name": lambda letter: self.say(both(STATES[letter])),
            "role_name": lambda role: self.say(both(ROLES[role])),
        }


def zone_of(config: CloudConfig) -> ZoneInfo:
    """Return the clock of the duty room: the first site's; one console with several clocks would mislead."""
    return clock_of(config.sites)
