"""General words for limits, by what the point measures: they stand in where a limit has none of its own."""

from collections.abc import Mapping

from davylamp_alarms.definition import Kind, PointKind

from davylamp_cloud.handling.words import Handling, handled

PROCESS = {
    Kind.HH: handled(
        cause=(
            "工艺失控、阀门或控制回路失效，或仪表失准",
            "Process out of control, valve or loop failed, or gauge wrong",
        ),
        consequence=(
            "可能超压、超温或超装，造成泄漏或设备损坏",
            "Overpressure, overheating or overfilling: leak or damage",
        ),
        action=("立即核实现场，按处置卡操作", "Check the field now and follow the handling card"),
        respond_s=180,
    ),
    Kind.H: handled(
        cause=("工艺偏离、调节不及时，或仪表失准", "Process drifts, not corrected in time, or gauge wrong"),
        consequence=("继续上升将达到高高限", "Rising further, it reaches high-high"),
        action=("核实现场，查明原因", "Check the field and find the cause"),
        respond_s=600,
    ),
    Kind.L: handled(
        cause=("工艺偏离、来料不足，或仪表失准", "Process drifts, too little comes in, or gauge wrong"),
        consequence=("继续下降将达到低低限", "Falling further, it reaches low-low"),
        action=("核实现场，查明原因", "Check the field and find the cause"),
        respond_s=600,
    ),
    Kind.LL: handled(
        cause=("来料中断、泄漏或设备停运，或仪表失准", "Supply lost, a leak, equipment stopped, or gauge wrong"),
        consequence=("可能抽空、断料或失去保护，造成设备损坏", "Running dry, starving or loss of protection: damage"),
        action=("立即核实现场，按处置卡操作", "Check the field now and follow the handling card"),
        respond_s=180,
    ),
    Kind.L1: handled(
        cause=("微量泄漏，或仪表受干扰", "Small leak, or the detector is disturbed"),
        consequence=("泄漏可能扩大，危及现场人员", "The leak may grow and endanger people on site"),
        action=("携便携式检测仪两人核实，检查通风", "Two persons verify with portable detectors; check ventilation"),
        respond_s=300,
    ),
    Kind.L2: handled(
        cause=("明显泄漏", "A marked leak"),
        consequence=("中毒、窒息，或遇火源爆燃", "Poisoning, suffocation, or an explosion if ignited"),
        action=(
            "无呼吸防护者不得进入，核实并按处置卡操作",
            "Nobody enters without breathing protection; verify and follow the handling card",
        ),
        respond_s=60,
    ),
}

GAS = PROCESS | {
    Kind.HH: PROCESS[Kind.L2],
    Kind.H: PROCESS[Kind.L1],
    Kind.L: handled(
        cause=("惰性气体或其他气体置换了氧气，通风不足", "Inert or other gas displaces the oxygen; poor ventilation"),
        consequence=(
            "缺氧，头晕乏力，继续下降会昏迷",
            "Lack of oxygen: dizziness, then unconsciousness if it falls on",
        ),
        action=("缺氧处无空气呼吸器不得进入，加强通风", "Nobody enters without breathing apparatus; ventilate"),
        respond_s=60,
    ),
    Kind.LL: handled(
        cause=(
            "惰性气体大量泄漏，或密闭空间通风中断",
            "Inert gas leaks in quantity, or ventilation of a closed space fails",
        ),
        consequence=("严重缺氧，数分钟内昏迷、死亡", "Severe lack of oxygen: unconsciousness and death within minutes"),
        action=(
            "缺氧处无空气呼吸器不得进入，清点人员，强制通风",
            "Nobody enters without breathing apparatus; count people; ventilate",
        ),
        respond_s=60,
    ),
}

FIRE_ALARM = handled(
    cause=("起火或阴燃；少数为热源、水汽或仪表故障", "Fire or smouldering; rarely heat, steam or the detector"),
    consequence=("火势蔓延，烟气伤人", "The fire spreads; smoke injures people"),
    action=("按火警处置：立即核实，拨打 119", "Treat as a fire: verify now and call the fire brigade"),
    respond_s=60,
)

FIRE = PROCESS | dict.fromkeys((Kind.H, Kind.HH, Kind.L1, Kind.L2), FIRE_ALARM)

STATE = handled(
    cause=(
        "设备跳闸、失电、误动，或联锁动作",
        "Equipment tripped, without power or misoperated, or an interlock acted",
    ),
    consequence=(
        "设备不在应有状态，保护或工艺可能失去",
        "Equipment is not in its proper state: protection or process may be lost",
    ),
    action=("核对设备实际状态，恢复应有状态", "Check the equipment's actual state and restore the proper one"),
    respond_s=180,
)

STATUS = PROCESS | dict.fromkeys((Kind.HH, Kind.H, Kind.L, Kind.LL), STATE)

LIMITS: Mapping[PointKind, Mapping[Kind, Handling]] = {
    PointKind.PROCESS: PROCESS,
    PointKind.GAS: GAS,
    PointKind.FIRE: FIRE,
    PointKind.STATUS: STATUS,
    PointKind.DIAGNOSTIC: STATUS,
}
