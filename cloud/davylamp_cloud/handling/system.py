"""General words for the alarms of the monitoring system itself, by their names."""

from collections.abc import Mapping

from davylamp_cloud.handling.words import Handling, handled

SYSTEM_DEFAULT = handled(
    cause=("监测系统部件故障或负荷过高", "A part of the monitoring system failed or is overloaded"),
    consequence=("监视或通知可能不完整", "Watching or notifying may be incomplete"),
    action=("检查监测系统，必要时人工巡检", "Check the monitoring system; patrol where needed"),
    respond_s=300,
)

SYSTEM: Mapping[str, Handling] = {
    "lag": handled(
        cause=("数据量过大，或磁盘、处理器过慢", "Too much data, or disk or processor too slow"),
        consequence=(
            "报警会晚到；边缘网关保留数据，不会丢失",
            "Alarms come late; the edges keep the readings, nothing is lost",
        ),
        action=("加强巡检，查看主机负荷与磁盘", "Patrol more often; look at the host's load and disk"),
        respond_s=300,
    ),
    "replay": handled(
        cause=(
            "重启后重算结果与已存记录不符：程序缺陷或记录损坏",
            "Recomputed alarms differ from the stored: a defect or damage",
        ),
        consequence=("当前报警状态可能不准", "The alarms now shown may be wrong"),
        action=("逐一核对现场与当前报警，联系维护", "Compare the standing alarms with the field; call maintenance"),
        respond_s=600,
    ),
    "record-set-aside": handled(
        cause=("一条记录无法处理，已隔离", "A record could not be evaluated and was set aside"),
        consequence=("该记录中的读数未参与报警", "The readings in it took no part in alarming"),
        action=(
            "核对该设备现场数值，保留隔离记录，联系维护",
            "Check that device in the field; keep the record; call maintenance",
        ),
        respond_s=600,
    ),
    "listener": handled(
        cause=("云端某部件在处理新记录时出错", "A part of the cloud failed while taking new records"),
        consequence=(
            "历史、画面或通知可能缺失，报警判断不受影响",
            "History, screens or notices may lack some; alarms go on",
        ),
        action=(
            "核对画面与通知是否更新，查看日志，必要时重启",
            "Check that screens and notices move; read the log; restart if not",
        ),
        respond_s=300,
    ),
    "snapshot": handled(
        cause=(
            "引擎状态快照未能保存：磁盘、内存或程序缺陷",
            "Its state could not be stored: disk, memory or a defect",
        ),
        consequence=(
            "报警照常；重启会变慢，日志越积越多",
            "Alarms go on; a restart takes longer, and the log grows",
        ),
        action=(
            "检查磁盘空间与日志，联系维护；暂勿重启",
            "Check disk and log; call maintenance; no restart now",
        ),
        respond_s=3600,
    ),
    "statistical-rule": handled(
        cause=("统计规则出错或设置有误，已停用", "A statistical rule failed or is set wrongly; it is left out"),
        consequence=("该规则不再提示；限值报警不受影响", "It warns no more; limit alarms are not affected"),
        action=("按说明更正设置或联系维护，并加强观察", "Correct its settings or call maintenance; watch more closely"),
        respond_s=3600,
    ),
    "host-clock": handled(
        cause=("主机时钟被改动、走偏，或授时中断", "The host's clock was changed, drifted, or lost its time service"),
        consequence=("记录时间不可信；报警照常触发", "Recorded times are wrong; alarms still sound"),
        action=("核对主机时钟与授时；报警照常处置", "Check the host's clock and time service; go on handling alarms"),
        respond_s=1800,
    ),
    "break-glass-review": handled(
        cause=("单人应急操作后超过时限未复核", "What one person did alone was not reviewed in time"),
        consequence=("无第二人核实，报警可能被不当隐藏", "Nobody has checked it: an alarm may be hidden wrongly"),
        action=("园区立即复核该操作", "The park reviews the act now"),
        respond_s=3600,
    ),
    "restored": handled(
        cause=("云端文件已由备份恢复", "The cloud's files were put back from a backup"),
        consequence=(
            "备份之后的确认、搁置、限值修改等人工操作已丢失；读数由边缘网关补传",
            "Acts since the backup are lost: acknowledgements, shelves, edits; edges send readings again",
        ),
        action=(
            "核对现场与当前报警，重做备份之后的操作",
            "Compare the standing alarms with the field; do again what was done since",
        ),
        respond_s=600,
    ),
    "state-lost": handled(
        cause=(
            "state.db 丢失或过旧：报警状态与人工修改的记录不全",
            "state.db is gone or too old: what stood and what persons changed is not known",
        ),
        consequence=(
            "限值恢复为设备自报值；搁置、屏蔽、停用、复核均已失效；部分旧报警的结束不再通知",
            "Limits are what devices say; shelves, masks, reviews are over; old alarms may not be told as ended",
        ),
        action=(
            "核对现场、报警与限值；有备份则放回 state.db（见备份说明）",
            "Compare alarms and limits with the field; put back state.db from a backup",
        ),
        respond_s=300,
    ),
    "log-lost": handled(
        cause=("log.db 丢失或过旧", "log.db is gone or older than state.db"),
        consequence=(
            "尚未写入历史的读数由边缘网关补传；外来网关的不能补传",
            "Edges send again what history lacks; foreign edges cannot",
        ),
        action=(
            "核对历史数据有无缺失，检查磁盘，联系维护",
            "Look for gaps in history; check the disk; call maintenance",
        ),
        respond_s=1800,
    ),
}
