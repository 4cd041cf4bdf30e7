"""The dashboards: an overview per language, with standing alarms and the values of every tag beside its limits."""

import json
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LineInterpolation, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DynamicConfigValue,
    Threshold,
    VariableRefresh,
    VariableSort,
)

from davylamp_cloud.grafana.influxql import (
    COUNT,
    DEVICES,
    LIMITS,
    POINTS,
    PROFILES,
    SOURCE,
    STANDING,
    TRANSITIONS,
    VALUE,
    InfluxQl,
)

LANGUAGES = ("zh", "en")

COLOURS = {"red": "#f2495c", "orange": "#ff9830", "yellow": "#fade2a", "blue": "#5794f2"}
LIMIT_COLOURS = {"HH": "orange", "LL": "orange", "H": "yellow", "L": "yellow", "L1": "yellow", "L2": "red"}

WORDS: Mapping[str, Mapping[str, str]] = {
    "title": {"zh": "安灯 总览", "en": "Davylamp overview"},
    "red": {"zh": "红色", "en": "red"},
    "orange": {"zh": "橙色", "en": "orange"},
    "yellow": {"zh": "黄色", "en": "yellow"},
    "blue": {"zh": "蓝色", "en": "blue"},
    "standing": {"zh": "当前报警", "en": "standing alarms"},
    "none": {"zh": "无当前报警", "en": "no standing alarm"},
    "value": {"zh": "${point} 与限值", "en": "${point} and its limits"},
    "transitions": {"zh": "报警变迁", "en": "alarm transitions"},
    "profile": {"zh": "设备模板", "en": "profile"},
    "device": {"zh": "设备", "en": "device"},
    "point": {"zh": "测点", "en": "point"},
    "watch": {
        "zh": "报警以安灯控制台为准；Grafana 不发声。",
        "en": "Alarms are heard in Davylamp's console; Grafana is silent.",
    },
}


def say(word: str, language: str) -> str:
    """Return a text in a language."""
    return WORDS[word][language]


def overview(language: str) -> Dashboard:
    """Return the overview in a language."""
    board = dashboard.Dashboard(say("title", language)).uid(f"davylamp-overview-{language}").readonly()
    board = board.tags(["davylamp", language]).refresh("10s").time("now-1h", "now").timezone("browser")
    board = board.description(say("watch", language))
    for variable in _variables(language):
        board = board.with_variable(variable)
    for priority in COLOURS:
        board = board.with_panel(_count(priority, language))
    board = board.with_panel(_standing(language)).with_panel(_values(language)).with_panel(_transitions(language))
    return board.build()


def _variables(language: str) -> list[dashboard.QueryVariable]:
    asked = {
        "profile": (PROFILES, "/^(?!davylamp_).*/"),
        "device": (DEVICES, ""),
        "point": (POINTS, "/^(?!.*_[qt]$).*/"),
    }
    made = []
    for name, (query, regex) in asked.items():
        variable = dashboard.QueryVariable(name).label(say(name, language)).datasource(SOURCE).query(query).regex(regex)
        variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.NATURAL_ASC)
        many = name != "profile"
        made.append(variable.multi(many).include_all(many))
    return made


def _count(priority: str, language: str) -> stat.Panel:
    panel = stat.Panel().title(say(priority, language)).datasource(SOURCE).height(3).span(6).no_value("0")
    steps = [Threshold(None, "text"), Threshold(1, COLOURS[priority])]
    panel = panel.thresholds(dashboard.ThresholdsConfig().steps(steps))
    return panel.with_target(InfluxQl(COUNT.replace("{priority}", priority), "A"))


def _standing(language: str) -> table.Panel:
    panel = table.Panel().title(say("standing", language)).datasource(SOURCE).height(9).span(24)
    panel = panel.no_value(say("none", language)).override_by_name("standing", _hidden())
    return panel.with_target(InfluxQl(STANDING.replace("{language}", language), "A", form="table"))


def _values(language: str) -> timeseries.Panel:
    panel = timeseries.Panel().title(say("value", language)).datasource(SOURCE).height(8).span(12)
    panel = panel.repeat("point").repeat_direction("h").max_per_row(2).line_width(2)
    panel = panel.show_points(VisibilityMode.NEVER).line_interpolation(LineInterpolation.STEP_AFTER)
    for kind, colour in LIMIT_COLOURS.items():
        panel = panel.override_by_name(kind, _limit_line(COLOURS[colour]))
    value = InfluxQl(VALUE, "A", alias="$tag_device")
    return panel.with_target(value).with_target(InfluxQl(LIMITS, "B", alias="$col"))


def _transitions(language: str) -> table.Panel:
    panel = table.Panel().title(say("transitions", language)).datasource(SOURCE).height(9).span(24)
    return panel.with_target(InfluxQl(TRANSITIONS.replace("{language}", language), "A", form="table"))


def _hidden() -> list[DynamicConfigValue]:
    return [DynamicConfigValue("custom.hidden", True)]


def _limit_line(colour: str) -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        DynamicConfigValue("custom.lineWidth", 1),
    ]


def encoded(board: Dashboard) -> str:
    """Return a dashboard as the JSON Grafana loads."""
    return json.dumps(board, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write(folder: Path) -> list[Path]:
    """Write every dashboard into a folder and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for language in LANGUAGES:
        path = folder / f"overview-{language}.json"
        path.write_text(encoded(overview(language)), encoding="utf-8")
        written.append(path)
    return written
