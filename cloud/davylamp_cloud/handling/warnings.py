"""General words for warnings of statistical rules: they stand in where a profile has none of its own."""

from collections.abc import Mapping

from davylamp_alarms.definition import Kind

from davylamp_cloud.handling.words import Handling, handled

AHEAD = handled(
    cause=("工艺正缓慢偏离，或仪表漂移", "The process drifts slowly, or the gauge does"),
    consequence=("按此趋势将达到限值", "Going on like this, it reaches its limit"),
    action=("查看趋势，核实现场，在到限前处置", "Look at the trend, check the field, act before the limit"),
    respond_s=600,
)

UNUSUAL = handled(
    cause=("运行状态与平时不同，或仪表失准", "It runs otherwise than usual, or a gauge is wrong"),
    consequence=("可能是异常的早期征兆", "This may be the first sign of trouble"),
    action=("与相关测点对照，核实现场", "Compare with related points; check the field"),
    respond_s=1800,
)

DEAD = handled(
    cause=("仪表卡死、取样堵塞，或信号被锁定", "Gauge stuck, sampling line blocked, or signal held"),
    consequence=("显示的值可能不是现场的值，限值可能不响", "The value may not be the field's, and no limit may sound"),
    action=("核对现场读数，检修仪表", "Compare with the reading in the field; repair the gauge"),
    respond_s=1800,
)

APART = handled(
    cause=("其中一台仪表失准，或执行机构未动作", "One of the gauges is wrong, or an actuator has not moved"),
    consequence=("不知哪个值可信", "It is not known which value to trust"),
    action=("核对现场实际状态与读数", "Check the actual state and the readings in the field"),
    respond_s=900,
)

WARNINGS: Mapping[str, Handling] = {
    Kind.TREND: AHEAD,
    Kind.RATE: AHEAD,
    Kind.FROZEN: DEAD,
    Kind.QUIET: DEAD,
    Kind.DEVIATION: APART,
    Kind.EWMA: UNUSUAL,
    Kind.CUSUM: UNUSUAL,
    Kind.NORMAL: UNUSUAL,
    Kind.UNIT: UNUSUAL,
    Kind.ROLLUP: UNUSUAL,
    Kind.COMMAND: APART,
    Kind.EXPRESSION: UNUSUAL,
}
