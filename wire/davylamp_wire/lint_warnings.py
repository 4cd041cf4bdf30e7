"""Statistical rules that can be written and still cannot work. Asked where a person sits at a file, as lint.py is."""

from collections.abc import Iterator, Mapping

from davylamp_wire.finding import Finding
from davylamp_wire.point import EarlyWarning, Point

OF_ONE = ("cusum", "ewma", "frozen", "normal", "quiet", "rate", "trend")
OF_SEVERAL = ("command", "deviation", "expression", "rollup", "unit")
RULES = (*OF_ONE, *OF_SEVERAL)
LEARN = {"cusum": ("mean", "deviation"), "ewma": ("mean", "deviation"), "normal": (), "unit": ("model",)}
"""Rules that training teaches, and which settings of it they are dumb without; `normal` learns by itself, too."""
"""The statistical rules there are (alarms/davylamp_alarms/warning), by how many tags each looks at."""


def unwarning(point: Point) -> Iterator[Finding]:
    """Yield every statistical rule that does not exist, sees too little, or tells nobody what to do."""
    if not point.warnings:
        return
    if point.type == "string":
        yield Finding("warnings", "statistics need a number, this point is a string", "统计规则需要数值，该点为字符串")
    if point.deadband:
        yield Finding(
            "deadband",
            "is refused on a point with statistical rules, which must see every change (SAFETY S8); leave it out",
            "该点设有统计规则，须看到每次变化，不得设传输死区（SAFETY S8）；请删去",
        )
    for name, warning in point.warnings.items():
        yield from _of_rule(name, warning)
        yield from _aimless(point, name, warning)


def _of_rule(name: str, warning: EarlyWarning) -> Iterator[Finding]:
    key = f"warnings.{name}"
    if name not in RULES:
        known = ", ".join(RULES)
        yield Finding(key, f"there is no such rule; write one of {known}", f"没有这种规则；请写 {known} 之一")
    if name in OF_SEVERAL and not (warning.inputs or warning.model):
        yield Finding(f"{key}.inputs", "name the points that the rule looks at together", "请写明该规则同看的各测点")
    if name in OF_ONE and warning.inputs:
        yield Finding(f"{key}.inputs", "this rule looks at its own point alone; leave it out", "该规则只看本点；请删去")
    if warning.model and name in RULES and name not in LEARN:
        yield Finding(f"{key}.model", "this rule learns nothing; leave it out", "该规则无需训练；请删去")
    if warning.action is None:
        told = '{zh = "…", en = "…"}'
        yield Finding(
            f"{key}.action", f"is missing; write the first thing to do, {told}", f"缺少首要处置措施，请写 {told}"
        )


def unlearnt(point: Point) -> Iterator[Finding]:
    """Yield every rule that says nothing, for nobody told it what is usual: no mistake, and not the same as normal."""
    for name, warning in point.warnings.items():
        missing = [one for one in LEARN.get(name, ()) if one not in warning.settings]
        if missing and not warning.model:
            way = "davylamp-cloud train, then model = FILE beside the settings"
            yield Finding(
                f"warnings.{name}",
                f"says nothing, for it does not know what is usual ({', '.join(missing)}); {way}",
                f"不知何为常态（缺 {'、'.join(missing)}），不会提示；请先训练（davylamp-cloud train），再写 model",
            )


def _aimless(point: Point, name: str, warning: EarlyWarning) -> Iterator[Finding]:
    """Yield a trend that is held against no limit, or against one that its point has not."""
    key = f"warnings.{name}.towards"
    for kind in warning.towards:
        if kind not in point.limits:
            yield Finding(key, f"the point has no limit {kind}", f"该点没有限值 {kind}")
    if name == "trend" and not (warning.towards or warning.settings.keys() & {"high", "low"}):
        yield Finding(
            key, 'name the limits the trend is held against, such as ["HH"]', '请写明趋势对照的限值，如 ["HH"]'
        )
    if name != "trend" and warning.towards:
        yield Finding(key, "only a trend is held against limits; leave it out", "只有趋势规则对照限值；请删去")


def inputs_missing(points: "Mapping[str, Point]") -> Iterator[str]:
    """Yield one line per input of a rule that is no point of its device; a full id may be any tag's."""
    for name, point in points.items():
        for rule, warning in point.warnings.items():
            for given in warning.inputs:
                if "/" not in given and given not in points:
                    yield f"points.{name}.warnings.{rule}.inputs: there is no point {given!r}"
