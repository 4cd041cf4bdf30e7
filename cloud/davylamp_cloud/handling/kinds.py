"""General words for what no limit of one tag speaks of: detectors in doubt, silence, votes, clocks, masks."""

from collections.abc import Mapping

from davylamp_cloud.handling.warnings import WARNINGS
from davylamp_cloud.handling.words import Handling, handled

KINDS: Mapping[str, Handling] = {
    "OVER_RANGE": handled(
        cause=("浓度超过仪表上限，或变送器、回路故障", "Concentration beyond the scale, or transmitter or loop failed"),
        consequence=(
            "实际浓度未知，可能已达爆炸或致命浓度；催化传感器事后可能回零",
            "True concentration unknown, maybe explosive or deadly; a catalytic sensor may fall to zero after it",
        ),
        action=(
            "按超限泄漏对待：无呼吸防护者不得进入，携便携式检测仪核实",
            "Treat as a leak beyond the scale: nobody enters unprotected; verify with portable detectors",
        ),
        respond_s=60,
    ),
    "FAULT": handled(
        cause=("探测器、变送器或回路故障", "Detector, transmitter or loop failed"),
        consequence=("该测点失去监视，泄漏或超限无人知晓", "This point is blind: a leak or excursion goes unseen"),
        action=("派人携便携式检测仪巡检，检修仪表", "Patrol with portable detectors; repair the instrument"),
        respond_s=600,
    ),
    "STALE": handled(
        cause=("采集停止、网络中断或设备死机", "Acquisition stopped, network cut, or device hung"),
        consequence=("显示的是旧值，现场变化看不到", "What is shown is old: changes in the field go unseen"),
        action=("派人巡检，检查采集与网络", "Patrol the unit; check acquisition and network"),
        respond_s=600,
    ),
    "COMM": handled(
        cause=("控制器失电、死机，或通信线路中断", "Controller without power or hung, or its line is cut"),
        consequence=("该设备所有测点失去监视", "Every point of this device is blind"),
        action=("派人巡检，检查控制器供电与网络", "Patrol the unit; check controller power and network"),
        respond_s=300,
    ),
    "LINK": handled(
        cause=("边缘网关失电、停机，或网络中断", "Edge gateway without power or stopped, or network cut"),
        consequence=(
            "该网关下的危险源失去监视；数据留在网关，恢复后补传",
            "What lies behind it is blind; readings wait there and come later",
        ),
        action=("派人巡检，检查网关供电与网络", "Patrol the unit; check gateway power and network"),
        respond_s=300,
    ),
    "BLIND": handled(
        cause=("多台探测器故障、失联或停用", "Several detectors failed, lost or out of service"),
        consequence=(
            "该危险源大部分失去监视，泄漏或火情无人知晓",
            "Much of this hazard source is blind: a leak or fire goes unseen",
        ),
        action=(
            "派人携便携式检测仪巡检守护，恢复探测器",
            "Patrol with portable detectors until the detectors are back",
        ),
        respond_s=300,
    ),
    "VOTE": handled(
        cause=(
            "多台探测器同时达到限值：很可能是真实泄漏或火情",
            "Several detectors at their limit at once: very likely real",
        ),
        consequence=("泄漏或火情扩大，危及人员", "The leak or fire grows and endangers people"),
        action=(
            "按真实险情处置：无呼吸防护者不得进入，按处置卡操作",
            "Treat as real: nobody enters unprotected; follow the handling card",
        ),
        respond_s=60,
    ),
    "VOTE_LOST": handled(
        cause=("表决组内故障或停用的探测器过多", "Too many detectors of the vote failed or out of service"),
        consequence=("探测器不能相互印证，联合报警失效", "Detectors cannot confirm each other: the vote cannot alarm"),
        action=("派人携便携式检测仪巡检，恢复探测器", "Patrol with portable detectors; bring the detectors back"),
        respond_s=300,
    ),
    "CLOCK": handled(
        cause=("网关时钟走偏、被改动，或授时中断", "The edge's clock drifted or was changed, or lost its time service"),
        consequence=(
            "记录时间不可信，事件先后难辨；报警照常触发",
            "Recorded times are wrong and order is lost; alarms still sound",
        ),
        action=("核对网关对时；报警照常处置", "Check the edge's clock and its time server; go on handling alarms"),
        respond_s=1800,
    ),
    "MASK": handled(
        cause=("作业结束后屏蔽开关未复位，或输入卡滞", "Switch left on after the work, or its input sticks"),
        consequence=(
            "被屏蔽的限值可能不响，只有最高限值一定有效",
            "Masked limits may stay silent; only the ceiling limits are sure to sound",
        ),
        action=(
            "确认作业已结束，复位屏蔽开关；其间派人监护",
            "Make sure the work is over; turn the mask's switch off; keep a person on watch",
        ),
        respond_s=300,
    ),
    **WARNINGS,
}
"""By the kind's own name, so that words may be here before their rule is."""
