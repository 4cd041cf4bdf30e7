"""What the statistical rules find, in both languages."""

from typing import Any

import numpy as np
import pytest
from davylamp_alarms.warning import RULES, Bank, Samples, bank
from davylamp_alarms.warning.unit import UnitSettings
from davylamp_alarms.warning.unit_training import train
from davylamp_alarms.warning.words import SENTENCES, words

START_MS = 1_764_000_000_000


def fed(rule: str, options: dict[str, Any], *samples: float | tuple[float, ...], every_s: float = 1) -> Bank:
    """Return a rule with one row that was fed these samples; trained to 50 ± 2 where it takes training."""
    rows = bank(rule, options, 1)
    if rule in ("ewma", "cusum"):
        rows.state.train(slice(0, 1), np.array([50.0]), np.array([2.0]))
    if rule == "normal":
        rows.state.train(slice(0, 1), np.array([50.0]))
    for at, sample in enumerate(samples):
        value = np.array(sample, float)[..., None]
        time_ms = np.array([START_MS + round(at * every_s * 1000)])
        rows.step(Samples(time_ms, value, np.zeros(value.shape, np.uint8)))
    return rows


def test_every_rule_has_words() -> None:
    assert set(SENTENCES) == set(RULES)


def test_a_trend_says_when_and_between_when_and_when() -> None:
    noise = np.random.default_rng(1).standard_normal(60)
    values = (10 + 0.05 * 10 * np.arange(60) + noise).tolist()
    zh, en = words("trend", fed("trend", {"high": 85, "horizon_s": 3600}, *values, every_s=10), 0, "%LEL")
    assert zh == "预计 15 分钟（14–16）后达到 85 %LEL"
    assert en == "reaches 85 %LEL in 15 min (14–16)"


FOUND: list[tuple[str, dict[str, Any], tuple[Any, ...], str, str]] = [
    (
        "rate", {"window_s": 2, "limit": 20}, (1.0, 1.5, 2.0),
        "每分钟变化 +30 °C，限值 20 °C", "changes by +30 °C per min, limit 20 °C",
    ),
    ("frozen", {"still_s": 8}, (3.4,) * 10, "数值 9 秒 未变：3.4 °C", "has not moved for 9 s: 3.4 °C"),
    (
        "quiet", {"window_s": 3, "least": 1, "samples": 2}, (1.0, 1.1) * 3,
        "波动 0.0577 °C，正常不小于 1 °C", "deviates by 0.0577 °C, a live instrument by 1 °C at least",
    ),
    (
        "deviation", {"limit": 5, "inputs": 3}, ((1.0, 2.0, 9.0),),
        "TT3 偏差 +7 °C，限值 5 °C", "TT3 is off by +7 °C, limit 5 °C",
    ),
    ("ewma", {"tau_s": 0, "limit": 3}, (58.0,), "近来约 58 °C，通常 50 °C", "about 58 °C lately, 50 °C as a rule"),
    ("cusum", {"period_s": 1, "limit": 4}, (45.0,) * 3, "持续低于通常值 50 °C", "stays below the usual 50 °C"),
    ("normal", {"percent": 30}, (70.0,), "比 30 天常态 50 °C 高 40 %", "40 % above the 30-day normal of 50 °C"),
    (
        "rollup", {"inputs": 4}, ((1.0, 1.0, 2.0, 1.0),),
        "按计数升级为黄：蓝及以上 4，黄及以上 1，橙及以上 0",
        "yellow by count: 4 blue or above, 1 yellow or above, 0 orange or above",
    ),
    ("command", {"allow_s": 2}, ((1.0, 0.0),) * 4, "指令 1，实际 0，已 3 秒", "commanded 1, is 0, for 3 s"),
    (
        "expression", {"text": "a > b", "inputs": ("a", "b")}, ((2.0, 1.0),),
        "a > b（a = 2, b = 1）", "a > b (a = 2, b = 1)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "options", "samples", "zh", "en"), FOUND)
def test_what_was_found_is_said_with_its_figures(
    rule: str, options: dict[str, Any], samples: tuple[Any, ...], zh: str, en: str
) -> None:
    assert words(rule, fed(rule, options, *samples), 0, "°C", ("TT1", "TT2", "TT3")) == (zh, en)


def test_a_unit_names_the_tags_that_matter() -> None:
    history = np.random.default_rng(2).standard_normal((200, 3))
    options = {"inputs": 3, "share": 1.0}
    rows = bank("unit", options, 1)
    rows.state.put(0, train(UnitSettings.model_validate(options), START_MS + 1000 * np.arange(200), history))
    rows.step(Samples(np.array([START_MS]), np.array([[0.0], [9.0], [4.0]]), np.zeros((3, 1), np.uint8)))
    zh, en = words("unit", rows, 0, tags=("FT1", "PT2", "TT3"))
    assert zh.startswith("T² 为限值的 ")
    assert zh.endswith("主要来自 PT2、TT3、FT1")
    assert en.endswith("times its limit, most of it by PT2, TT3, FT1")
