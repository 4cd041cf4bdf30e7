"""What the beacon says of itself, in zh and en, for `davylamp-edge beacon`."""

from collections.abc import Mapping

from davylamp_edge.beacon.states import Event, State

STATES: Mapping[State, tuple[str, str]] = {
    State.OFF: ("正常", "off"),
    State.SOUNDING: ("报警中", "sounding"),
    State.SILENCED: ("已消音", "silenced"),
    State.TEST: ("试验中", "testing"),
    State.FAULT: ("监测引擎无响应", "engine silent"),
}
OUTPUTS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "lamp": (("灯灭", "lamp off"), ("灯亮", "lamp on")),
    "horn": (("声停", "horn off"), ("声响", "horn on")),
    "watchdog": (("看门狗触点断开", "watchdog open"), ("看门狗触点闭合", "watchdog closed")),
}
REFUSED: Mapping[Event, tuple[str, str]] = {
    Event.SILENCE: (
        "没有可消音的报警（灯与声共用一个线圈时也不能消音）",
        "nothing sounds that could be silenced (nor where lamp and horn share a coil)",
    ),
    Event.TEST: (
        "有报警或正在试验，不作试验：灯光显示的就是报警",
        "an alarm stands, or a test is under way: what it shows is real",
    ),
}


def said(state: State, shown: Mapping[str, bool], silent: tuple[str, ...], reason: str) -> tuple[str, str]:
    """Return a line in zh and one in en."""
    zh, en = (
        [STATES[state][language], *(OUTPUTS[name][is_on][language] for name, is_on in shown.items())]
        for language in (0, 1)
    )
    if silent:
        zh.append(f"无响应的引擎：{'、'.join(silent)}")
        en.append(f"silent: {', '.join(silent)}")
    if reason:
        zh.append(f"继电器模块故障：{reason}")
        en.append(f"relay module lost: {reason}")
    return "，".join(zh), ", ".join(en)
