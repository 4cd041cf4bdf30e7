"""The command ``davylamp-edge``."""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TextIO, cast

import structlog
from davylamp_wire.config import ConfigError, parse
from davylamp_wire.piping import as_long_as_read
from davylamp_wire.profile import Profile

from davylamp_edge.arguments import application_uri, host_name, seconds, whole
from davylamp_edge.check import journal_in, load_edge
from davylamp_edge.config import EdgeConfig
from davylamp_edge.opcua_settings import PATHS, OpcuaSettings

OK, FAILED, BAD_INPUT = 0, 1, 2

DESCRIPTION = """\
Davylamp's edge agent: polls PLCs over Modbus and OPC UA, keeps every reading on disk until the cloud has
confirmed it, and sends it as Sparkplug B over MQTT. It reads; it writes to no plant, only to its own beacon.
边缘采集程序：轮询 PLC，逐条落盘，经云端确认后才算送达；只读，不向现场写入。"""

EPILOG = """\
exit codes: 0 ok, 1 failed, 2 bad input (config or command line)

  davylamp-edge import points.xlsx --device tank-1 --hazard-source tank-1 --address 192.168.1.20:502
                                                  a device from an integrator's point list
  davylamp-edge check /etc/davylamp/edge.toml     find every mistake before the agent runs
  davylamp-edge run /etc/davylamp/edge.toml       run until SIGTERM or Ctrl-C; SIGHUP reads the config again
  davylamp-edge browse opc.tcp://192.168.1.30:4840 --match 'Tank1/*' --write-profile profiles/tank/tank-1.toml
                                                  what an OPC UA server has, and a draft of a profile
  davylamp-edge probe 192.168.1.20:502 40061      what registers, or an OPC UA server's nodes, say now
  davylamp-edge beacon test /etc/davylamp/edge.toml         lamp, horn and watchdog contact, for five seconds
  davylamp-edge certificate tls --uri urn:plant:edge-1      a certificate for OPC UA servers to trust

The config file is explained key by key in edge/example.toml."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    return as_long_as_read(lambda: _act(arguments))


def _act(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    try:
        return COMMANDS[given.command](given)
    except ConfigError as error:
        print(f"{getattr(given, 'file', given.command)}: {error}", file=sys.stderr)
        print(f"输入有误（{len(error.mistakes)} 处），未执行；以上每行写明在哪里、错在哪里、怎样改", file=sys.stderr)
        return BAD_INPUT


def _refused(code: int, en: str, zh: str) -> int:
    """Say in both languages why nothing was done; return the exit code."""
    print(f"{en}\n{zh}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("davylamp-edge", description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="poll, journal and send until stopped (运行)")
    run.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    check = commands.add_parser("check", help="read a config, say what it means or every mistake in it (检查配置)")
    for command in (run, check):
        command.add_argument("file", type=Path, metavar="FILE", help="the edge's config, TOML")
    _add_beacon(commands.add_parser("beacon", help="test, silence or ask the running agent's beacon (声光报警器)"))
    _add_probe(
        commands.add_parser("probe", help="show what a device says, under every interpretation (查看寄存器或节点)")
    )
    _add_import(commands.add_parser("import", help="make a device of a point list, XLSX or CSV (导入点表)"))
    _add_browse(commands.add_parser("browse", help="list an OPC UA server's variables, draft a profile (浏览 OPC UA)"))
    _add_certificate(commands.add_parser("certificate", help="make this edge's OPC UA certificate (生成证书)"))
    return parser


def _add_probe(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "address", help="where the device answers, for example 192.168.1.20:502 or opc.tcp://192.168.1.30:4840"
    )
    command.add_argument(
        "places",
        nargs="+",
        metavar="PLACE",
        help="the first register: holding:60, input:0, coil:0, discrete:0, or 40061; some of its bits: holding:60.4-7."
        " Of an OPC UA server: node ids, nsu=urn:plant:plc;s=Tank1.Level (节点)",
    )
    command.add_argument("--count", type=int, help="how many registers or coils, 8 unless said (个数)")
    command.add_argument("--unit", type=whole(0, 255), default=1, help="Modbus unit id, 1 unless said (站号)")
    command.add_argument(
        "--timeout", type=seconds(60), default=2.0, metavar="S", help="how long to wait for the answer"
    )
    _add_security(command)


def _add_beacon(command: argparse.ArgumentParser) -> None:
    command.add_argument("act", choices=("state", "test", "silence"), help="状态、试验、消音")
    command.add_argument("file", type=Path, metavar="FILE", help="the running agent's config, TOML")


def _beacon(given: argparse.Namespace) -> int:
    from davylamp_edge.beacon.asking import NobodyAnswers, ask, socket_of

    try:
        answer = ask(socket_of(journal_in(given.file)), given.act)
    except NobodyAnswers as error:
        print(error, file=sys.stderr)
        return FAILED
    print(f"{answer['zh']}\n{answer['en']}", file=sys.stdout if answer["done"] else sys.stderr)
    return OK if answer["done"] else FAILED


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "file", type=Path, metavar="LIST", help="the point list; its headings are in docs/how-to/first-device.md"
    )
    command.add_argument("--device", required=True, metavar="NAME", help="what the device is called, a slug (设备名)")
    command.add_argument(
        "--hazard-source", required=True, metavar="ID", help="the hazard source it belongs to (重大危险源)"
    )
    command.add_argument("--address", required=True, help="where it answers, for example 192.168.1.20:502")
    command.add_argument(
        "--config", type=Path, default=Path("edge.toml"), help="the config it is added to; made if missing"
    )
    command.add_argument("--driver", default="modbus", help="modbus (default) or opcua")
    command.add_argument("--sheet", help="the sheet of an XLSX; its first one otherwise (工作表)")
    command.add_argument("--station", type=whole(0, 255), metavar="N", help="import only this station's lines (站号)")
    command.add_argument("--type", help="the data type of lines that say none, for example float32")
    command.add_argument("--first", type=int, choices=(0, 1), help="what the list calls the first register")
    command.add_argument(
        "--leave",
        action="append",
        default=[],
        metavar="HEADING",
        help="leave this column out; may be repeated (略去列)",
    )


def _import(given: argparse.Namespace) -> int:
    from davylamp_edge.point_list import Request, import_list

    asked = {name: value for name, value in vars(given).items() if name != "command"}
    for line in import_list(Request(**{**asked, "leave": tuple(given.leave)})):
        print(line)
    return OK


def _add_browse(command: argparse.ArgumentParser) -> None:
    command.add_argument("address", help="the server, for example opc.tcp://192.168.1.30:4840")
    command.add_argument("--under", default="", metavar="NODE", help="where to begin, a node id; all objects otherwise")
    command.add_argument("--depth", type=whole(1, 100), default=10, help="how many levels down (default %(default)s)")
    command.add_argument(
        "--match", action="append", default=[], metavar="GLOB", help="only paths like Tank1/*; may be repeated"
    )
    command.add_argument("--write-profile", type=Path, metavar="FILE", help="draft a profile of what is listed")
    _add_security(command)


SESSION_KEYS = ("policy", "security", "username", *PATHS)


def _add_security(command: argparse.ArgumentParser) -> None:
    secured = command.add_argument_group("OPC UA, as in [devices.opcua] of the config (加密与身份)")
    for key in SESSION_KEYS:
        secured.add_argument(f"--{key.replace('_', '-')}", dest=key)
    secured.add_argument("--allow-deprecated", action="store_true", default=None)


def _security(given: argparse.Namespace) -> OpcuaSettings:
    keys = (*SESSION_KEYS, "allow_deprecated")
    said = {key: getattr(given, key) for key in keys if getattr(given, key) is not None}
    return parse(OpcuaSettings, said, "command line")


def _browse(given: argparse.Namespace) -> int:
    return _asked_of_server(given, _browse_with)


def _asked_of_server(
    given: argparse.Namespace, ask: Callable[[argparse.Namespace, OpcuaSettings], Coroutine[None, None, int]]
) -> int:
    """Ask an OPC UA server something, and say what went wrong."""
    from davylamp_edge.drivers import DeviceUnreachable

    settings = _security(given)
    try:
        return asyncio.run(ask(given, settings))
    except ImportError as error:
        return _without(error)
    except DeviceUnreachable as error:
        en = f"{error}; look at address, port and firewall, or at what it refuses"
        return _refused(FAILED, en, "服务器没有应答或拒绝了请求：请检查地址、端口、防火墙，以及它拒绝的原因")
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        raise  # whoever read our output has gone: no file of ours
    except OSError as error:
        return _unwritable(error)


def _unwritable(error: OSError) -> int:
    return _refused(FAILED, f"{error.filename} cannot be written ({error.strerror})", f"无法写入 {error.filename}")


async def _browse_with(given: argparse.Namespace, settings: OpcuaSettings) -> int:
    from davylamp_edge.browse import browsed, drafted, listed

    _opcua_address(given.address)
    if given.write_profile is not None and given.write_profile.exists():
        en = f"{given.write_profile} exists and is not replaced; name another file"
        raise ValueError(f"{en}\n{given.write_profile} 已存在，不会覆盖；请换一个文件名")
    found = await browsed(given.address, settings, under=given.under, depth=given.depth, match=given.match)
    if not found:
        en = f"nothing was found at {given.address}; try another --under or --match, or a greater --depth"
        raise ValueError(f"{en}\n在 {given.address} 没有找到变量；请换 --under 或 --match，或加大 --depth")
    for line in listed(found):
        print(line)
    if given.write_profile is not None:
        draft = drafted(found, given.address)
        given.write_profile.parent.mkdir(parents=True, exist_ok=True)
        given.write_profile.write_text(draft, encoding="utf-8")
        print(f"{given.write_profile}: a draft; its first lines say what is to do")
        print(f'next: [[devices]] with profile = "{given.write_profile.stem}" in the config (docs/how-to/opcua.md)')
    return OK


def _opcua_address(address: str) -> None:
    """Raise a ValueError for what is no server's address."""
    from davylamp_edge.drivers.opcua import OpcuaDriver

    if wrong := OpcuaDriver.wrong_address(address):
        raise ValueError(f"{address} {wrong}\n{address} 不是 OPC UA 服务器地址，例：opc.tcp://192.168.1.30:4840")


def _add_certificate(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="FOLDER", help="where certificate and key are written")
    command.add_argument(
        "--uri", type=application_uri, required=True, help="the application URI, for example urn:plant:edge-1"
    )
    command.add_argument(
        "--host", type=host_name, action="append", default=[], help="a host name or IP; may be repeated"
    )
    command.add_argument(
        "--days", type=whole(1, 36500), default=3650, help="how long it is valid (default %(default)s)"
    )


def _certificate(given: argparse.Namespace) -> int:
    try:
        from davylamp_edge.certificate import write_certificate

        files = write_certificate(given.folder, given.uri, given.host or [socket.gethostname()], given.days)
    except ImportError as error:
        return _without(error)
    except FileExistsError as error:
        en = f"{error.filename} exists and is not replaced; name another folder"
        return _refused(BAD_INPUT, en, f"{error.filename} 已存在，不会覆盖；请换一个文件夹")
    except OSError as error:
        return _unwritable(error)
    for key, file in zip(("certificate_file", "key_file"), files, strict=True):
        print(f'{key} = "{file}"')
    return OK


def _without(error: ImportError) -> int:
    """Say which extra a command needs."""
    way_out = "pip install 'davylamp[opcua]'"
    en = f"this needs a library that is not installed ({error.name}); {way_out}"
    return _refused(FAILED, en, f"缺少程序库 {error.name}；请安装：{way_out}")


def _probe(given: argparse.Namespace) -> int:
    if given.address.startswith("opc."):
        return _asked_of_server(given, _probe_nodes)
    if len(given.places) > 1:
        en = f"one place at a time: {given.places[0]}, and --count for how many; only nodes come in lists"
        raise ConfigError([f"{en}（一次一处，个数用 --count；只有节点可列多个）"])
    return _probe_registers(given, given.places[0])


async def _probe_nodes(given: argparse.Namespace, settings: OpcuaSettings) -> int:
    from davylamp_edge.probe_nodes import probed_nodes

    _opcua_address(given.address)
    lines, readable = await probed_nodes(given.address, settings, given.places, given.timeout)
    for line in lines:
        print(line)
    return OK if readable else FAILED


def _probe_registers(given: argparse.Namespace, written: str) -> int:
    from davylamp_edge.drivers import DeviceRefused, DeviceUnreachable
    from davylamp_edge.drivers.modbus import ModbusDriver
    from davylamp_edge.plan import parse_place
    from davylamp_edge.point_list.addresses import modbus_address
    from davylamp_edge.probe import asked_for, probed

    if written.isdigit() and len(written) < len("40001"):
        where = f"{written!r} does not say which registers"
        en = f"{where}; write holding:{written} (counted from 0), or 40061, which is holding:60"
        raise ConfigError([f"{en}（没有说明哪类寄存器：写 holding:{written}，从 0 起数，或写 40061）"])
    try:
        place = parse_place(modbus_address(written, "", None))
        count = asked_for(place, given.count)
    except ValueError as error:
        raise ConfigError([error.args[0]]) from None
    if wrong := ModbusDriver.wrong_address(given.address):
        raise ConfigError([wrong])
    try:
        lines = asyncio.run(probed(given.address, given.unit, place, count, given.timeout))
    except DeviceUnreachable as error:
        en = f"{error}; look at address, cable, firewall and --unit"
        return _refused(FAILED, en, "设备没有应答：请检查地址、线缆、防火墙和站号 --unit")
    except DeviceRefused as error:
        some = error.narrower and count > 1
        en = f"{error}; not all of them are there: ask for one with --count 1" if some else str(error)
        zh = "设备拒绝：其中有不存在的，请用 --count 1 逐个读取" if some else "设备拒绝了这次读取"
        return _refused(FAILED, en, zh)
    for line in lines:
        print(line)
    return OK


def _check(given: argparse.Namespace) -> int:
    from davylamp_edge.further import further_mistakes
    from davylamp_edge.summary import refuse_unworkable, summarise

    try:
        config, profiles = load_edge(given.file)
    except ConfigError as error:
        raise ConfigError([*error.mistakes, *further_mistakes(given.file)]) from None
    for line in summarise(config, profiles):
        print(line)
    refuse_unworkable(config, profiles)
    return OK


def _run(given: argparse.Namespace) -> int:
    config, profiles = load_edge(given.file)
    _log_to(sys.stderr, given.log_level)
    import uvloop  # late, as the agent's own parts are

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signalled(config, profiles, given.file))


async def _until_signalled(config: EdgeConfig, profiles: Mapping[str, Profile], file: Path) -> int:
    """Run until SIGTERM or SIGINT asks for a clean stop; SIGHUP has the config read again."""
    # Imported late: `--help` and a refused config need neither MQTT nor a journal.
    from davylamp_edge.agent import Agent
    from davylamp_edge.database import JournalBusy
    from davylamp_edge.journal_file import JournalUnreadable

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        agent = Agent(config, profiles, load=lambda: load_edge(file))
    except (JournalBusy, JournalUnreadable, OSError, sqlite3.Error) as error:
        en = f"journal {config.journal.path} cannot be opened: {error}"
        return _refused(FAILED, en, f"无法打开缓存文件 {config.journal.path}：请检查磁盘和权限，是否另有程序在用")
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, agent.reloader.asked.set)
    gc.freeze()  # points and their aliases stay: looking through 100,000 of them was a tenth of polling's time
    gc.set_threshold(COLLECT_AFTER)
    await agent.run(stop)
    return OK


COLLECT_AFTER = 10_000
"""Objects made before the collector looks for rings among them; Python's own 700 is one scan of a few devices."""


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "check": _check,
    "import": _import,
    "beacon": _beacon,
    "browse": _browse,
    "certificate": _certificate,
    "probe": _probe,
}


class _Tolerant:
    """A stream whose failures cost a line of log and nothing else: a full disk must not stop the journal's thread."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def _log_to(stream: TextIO, level: str) -> None:
    """Write one line per event, key=value, to a stream."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(),
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Tolerant(stream))),  # it has all that is called
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
