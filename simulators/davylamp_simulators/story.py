"""What the demo tells, in Chinese or English: one plain sentence for each thing that happens, with its second."""

import json
import time
from collections.abc import Callable
from typing import Any

from davylamp_simulators.figures import Figures

TEXTS: dict[str, tuple[str, str]] = {
    "folder": ("配置、日志、台账、数据库都在 {folder}", "configs, logs, ledger and databases are in {folder}"),
    "starting": ("启动 {name} …", "starting {name} …"),
    "up": ("{name} 已就绪", "{name} is up"),
    "console": ("值班界面：{url}  （令牌见 {file}）", "console: {url}  (token in {file})"),
    "live": ("全部就绪，装置开始运行：{what}", "everything is up, the plant runs: {what}"),
    "value": ("{name}：{value} {unit}", "{name}: {value} {unit}"),
    "raised": ("⚠ 报警 {text}", "⚠ ALARM {text}"),
    "step": ("· {text}", "· {text}"),
    "notice": (
        "✉ 已签名并送达监管方，签名有效：{id}，{ms} 毫秒",
        "✉ signed, delivered to the regulator, signature valid: {id}, {ms} ms",
    ),
    "notice_step": ("✉ 已送达监管方：{id}", "✉ delivered to the regulator: {id}"),
    "acknowledged": ("✓ 值班员通过接口确认 {occurrence}", "✓ the operator acknowledges {occurrence} through the API"),
    "comment": ("演示值班员已看到，派人核实", "seen by the demo's operator, somebody is on the way"),
    "stopping": ("停止装置，等待网关与云端收完 …", "the plant stops; edges and cloud finish …"),
    "counting": ("逐条核对台账与历史库 …", "holding history against the ledger, reading by reading …"),
    "interrupted": ("收到停止请求，正在逐个停止进程 …", "asked to stop; the processes end one after the other …"),
    "lead": ("超前预警比限值报警早 {seconds:g} 秒", "the early warning came {seconds:g} s before the limit alarm"),
    "ended": ("全部进程已停止", "every process has ended"),
}

SUMMARY = {
    "zh": """
读数：设备供出 {f.readings_served}，历史库收到 {f.readings_stored}，丢失 {f.readings_lost}
报警：发生 {f.alarms_raised}；通知送达 {f.notices_delivered}，重复 {f.notices_duplicate}
从设备应答到监管方收到：中位 {p50} 毫秒，99 % 在 {p99} 毫秒内{lead}
内存峰值 (MiB)：{memory}""",
    "en": """
readings: {f.readings_served} served, {f.readings_stored} in history, {f.readings_lost} lost
alarms: {f.alarms_raised} raised; notices: {f.notices_delivered} delivered, {f.notices_duplicate} duplicate
from a device's reply to the regulator: median {p50} ms, 99 % within {p99} ms{lead}
peak memory (MiB): {memory}""",
}


class Teller:
    """Prints the story with the seconds since the plant's clock started."""

    def __init__(self, language: str, seconds: float | None, write: Callable[[str], None]) -> None:
        self.language = language
        self._seconds = seconds
        self._write = write
        self._started_s: float | None = None

    def start(self) -> None:
        """Let the seconds count."""
        self._started_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return seconds since the plant's clock started."""
        return 0.0 if self._started_s is None else time.monotonic() - self._started_s

    def word(self, key: str, **fields: Any) -> str:
        """Return one of the demo's own sentences."""
        return TEXTS[key][self.language != "zh"].format(**fields)

    def tell(self, key: str, **fields: Any) -> None:
        """Tell one of the demo's own sentences."""
        self.say(self.word(key, **fields))

    def say(self, text: str) -> None:
        """Tell a sentence made elsewhere."""
        whole = f"/{self._seconds:.0f}" if self._seconds else ""
        clock = "" if self._started_s is None else f"{self.elapsed_s:5.1f}{whole} s  "
        self._write(clock + text)

    def chosen(self, both: dict[str, str]) -> str:
        """Return the reader's language of a text in both."""
        return both.get(self.language) or next(iter(both.values()), "")

    def summary(self, figures: Figures) -> None:
        """Tell what the run came to."""
        memory = "  ".join(f"{name} {peak:g}" for name, peak in figures.peak_rss_mb.items())
        p50, p99 = (("–" if ms is None else f"{ms:g}") for ms in (figures.latency_ms_p50, figures.latency_ms_p99))
        lead = "" if figures.warning_lead_s is None else "\n" + self.word("lead", seconds=figures.warning_lead_s)
        self._write(SUMMARY[self.language].format(f=figures, memory=memory, p50=p50, p99=p99, lead=lead))


def notice_text(data: dict[str, Any], language: str) -> str:
    """Return what a notice says to a reader, whichever shape its text came in."""
    text = data.get("text")
    if isinstance(text, str) and text.startswith("{"):
        text = json.loads(text)
    if isinstance(text, dict):
        return str(text.get(language) or text)
    return str(text or f"{data.get('priority')} {data.get('kind')} {data.get('tag')}")
