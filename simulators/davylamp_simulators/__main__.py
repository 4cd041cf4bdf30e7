"""The command ``davylamp-sim``."""

import argparse
import asyncio
import errno
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from davylamp_wire.config import ConfigError
from davylamp_wire.piping import as_long_as_read
from davylamp_wire.point import Text

from davylamp_simulators.plant import Plant, load_plant, make_plant
from davylamp_simulators.recording import load_config as recording_config
from davylamp_simulators.recording import load_recording, recording_names
from davylamp_simulators.scenario import load_scenario, scenario_names

OK, FAILED, BAD_INPUT = 0, 1, 2
MODES = ("ok", "slow", "failing", "dead")
"""Of `regulator.Mode`, which is imported late."""

DESCRIPTION = """\
Davylamp's simulated plants: process models and recorded runs behind real Modbus TCP and OPC UA sockets, a regulator
that verifies signed notices, and a demonstration of the whole path from a register to a webhook.
仿真装置：以真实的 Modbus TCP 与 OPC UA 提供过程模型和录制数据，并附带校验签名的模拟监管方和全链路演示。"""

EPILOG = """\
exit codes: 0 ok, 1 failed, 2 bad input (file or command line)

  davylamp-sim demo                                    a whole site as separate processes, until Ctrl-C
  davylamp-sim demo --scenario overfill --seconds 60 --json
  davylamp-sim demo --recording nist-fire              the same on data nobody here made
  davylamp-sim run plant.toml                          simulated devices alone (simulators/example.toml explains)
  davylamp-sim replay run.csv.gz --protocol opcua      a table of measurements as a device
  davylamp-sim regulator --secret-file secret          a receiver of notices
  davylamp-sim beacon --port 5020                      what an edge's beacon hangs on; type test or silence
  davylamp-sim list                                    scenarios and recordings that are shipped"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    return as_long_as_read(lambda: _act(arguments))


def _act(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    try:
        return int(given.act(given))
    except ConfigError as error:
        print(f"davylamp-sim: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"davylamp-sim: {error}{_way_out(error)}", file=sys.stderr)
        return FAILED


def _way_out(error: OSError) -> str:
    taken = error.errno == errno.EADDRINUSE
    return "; take another port (--port, or `port` in the plant file; 0: any free one)" if taken else ""


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("davylamp-sim", description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, words: str, act: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.set_defaults(act=act)
        return made

    run = command("run", "serve the devices of a plant file until stopped (运行)", _run)
    run.add_argument("file", type=Path, metavar="FILE", help="the plant, TOML; simulators/example.toml explains it")
    _add_telling(run)
    check = command("check", "read a plant file, say what it means or every mistake in it (检查)", _check)
    check.add_argument("file", type=Path, metavar="FILE", help="the plant, TOML")
    _add_replay(command("replay", "serve a recorded run or a table of measurements as a device (回放)", _replay))
    _add_regulator(command("regulator", "receive and verify signed notices until stopped (模拟监管方)", _regulator))
    _add_beacon(
        command("beacon", "a relay module with lamp, horn and watchdog contact (声光报警器的继电器模块)", _beacon)
    )
    _add_demo(command("demo", "run a whole site as separate processes and tell what happens (演示)", _demo))
    command("list", "name the shipped scenarios and recordings (列表)", _list)
    return parser


def _add_telling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lang", choices=("zh", "en"), default="zh", help="language of what is told (default zh)")
    parser.add_argument("--json", action="store_true", help="tell what happens as JSON lines")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", help="name of a shipped recording, or a .csv, .csv.gz, .dat.gz or .toml file")
    parser.add_argument("--profile", help="profile to serve (default: the recording's own)")
    parser.add_argument("--profiles", type=Path, help="folder of profiles beside the shipped ones")
    parser.add_argument("--protocol", choices=("modbus", "opcua"), help="default: the recording's own, else modbus")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="default: any free one; it is printed")
    parser.add_argument("--speed", type=float, default=1.0, help="times as fast as the recording says (default 1)")
    parser.add_argument("--ledger", type=Path, help="write the ledger of served values here")
    parser.add_argument("--write-profile", type=Path, metavar="FILE", help="write a profile of the columns and end")
    _add_telling(parser)


def _add_regulator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0: any free one; it is printed")
    parser.add_argument("--secret-file", type=Path, action="append", default=[], help="whsec_… (v1); may be repeated")
    parser.add_argument("--public-key-file", type=Path, action="append", default=[], help="whpk_… (v1a); repeatable")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write every believed notice here as a JSON line")
    parser.add_argument("--mode", choices=MODES, default="ok", help="how it behaves at first")
    parser.add_argument("--delay-s", type=float, default=3.0, help="how late it answers in mode slow")


def _add_beacon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5020, help="0: any free one; it is printed")
    parser.add_argument(
        "--watchdog-s", type=float, default=5.0, help="opens the contact after so long without a request"
    )
    _add_telling(parser)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    story = parser.add_mutually_exclusive_group()
    story.add_argument("--scenario", help="what goes wrong (default chlorine-leak); `davylamp-sim list` names them")
    story.add_argument("--recording", help="play a recorded run instead")
    parser.add_argument("--seconds", type=float, help="end by itself after so long (default: on Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object in the last line")
    parser.add_argument("--historian", choices=("duckdb", "influxdb"), default="duckdb")
    parser.add_argument("--influx-url", help="where InfluxDB is, for --historian influxdb")
    parser.add_argument("--influx-token-file", type=Path, help="InfluxDB's token, where it asks for one")
    parser.add_argument("--influx-bucket", default="davylamp", help="default davylamp")
    parser.add_argument(
        "--broker", choices=("auto", "mosquitto", "amqtt"), default="auto", help="default: Mosquitto if installed"
    )
    parser.add_argument("--lang", choices=("zh", "en"), default="zh", help="language of the story (default zh)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep configs, logs, ledger and databases here")
    parser.add_argument("--port", type=int, default=0, help="the console's port (default: any free one)")


def _run(given: argparse.Namespace) -> int:
    return asyncio.run(_serve(load_plant(given.file), given))


def _check(given: argparse.Namespace) -> int:
    plant = load_plant(given.file)
    print(f"{given.file}: {len(plant.config.devices)} devices, scenario {plant.scenario.name}: {plant.scenario.zh}")
    for device in plant.config.devices:
        inside = device.process or device.recording
        print(f"  {device.name}: {device.profile} over {device.protocol} at {device.host}:{device.port}, {inside}")
    return OK


async def _serve(plant: Plant, given: argparse.Namespace) -> int:
    # Imported late: --help and a refused file need no servers.
    from davylamp_simulators.clock import now_ms
    from davylamp_simulators.site import Site
    from davylamp_simulators.stopping import until_signalled

    def say(fields: dict[str, Any], words: str) -> None:
        print(json.dumps(fields, ensure_ascii=False) if given.json else words, flush=True)

    def tell(device: str, simulated_s: float, text: Text) -> None:
        fields = {"at_ms": now_ms(), "device": device, "simulated_s": round(simulated_s, 1), **text.model_dump()}
        say(fields, f"{simulated_s:8.1f} s  {device}  {getattr(text, given.lang)}")

    def started() -> None:
        say({"at_ms": now_ms(), "clock": "started"}, "the plant's clock runs" if given.lang == "en" else "装置开始运行")

    site = Site(plant, tell, started)

    async def serve() -> None:
        async with site:
            for name, port in site.ports.items():
                words = f"{name} listens on port {port}" if given.lang == "en" else f"{name} 在端口 {port} 监听"
                say({"device": name, "port": port}, words)
            await site.run()

    await until_signalled(serve())
    if plant.config.ledger:
        say({"served": site.served}, f"served {site.served} values, ledger in {plant.config.ledger}")
    return OK


def _replay(given: argparse.Namespace) -> int:
    config = recording_config(given.recording)
    if given.write_profile is not None:
        from davylamp_simulators.replay import profile_text

        given.write_profile.write_text(profile_text(load_recording(given.recording)), encoding="utf-8")
        print(f"wrote {given.write_profile}; next: units, names, ranges, limits with their source")
        return OK
    profile = given.profile or config.profile
    if profile is None:
        raise ConfigError([f"{given.recording}: give --profile NAME; --write-profile FILE makes a first one"])
    device = {"name": config.name, "profile": profile, "recording": given.recording, "host": given.host}
    device |= {"protocol": given.protocol or config.protocol, "port": given.port}
    table: dict[str, Any] = {"speed": given.speed, "devices": [device]}
    table |= {key: str(getattr(given, key).resolve()) for key in ("ledger", "profiles") if getattr(given, key)}
    return asyncio.run(_serve(make_plant(table, Path("command line")), given))


def _regulator(given: argparse.Namespace) -> int:
    return asyncio.run(_receive(given))


async def _receive(given: argparse.Namespace) -> int:
    from davylamp_simulators.regulator import Mode, Regulator
    from davylamp_simulators.signature import Keys
    from davylamp_simulators.stopping import until_signalled

    if not given.secret_file and not given.public_key_file:
        raise ConfigError(["regulator: give --secret-file or --public-key-file; what is not signed is not believed"])
    keys = Keys.of(given.secret_file, given.public_key_file)
    regulator = Regulator(keys, given.log, given.host, given.port)
    regulator.mode, regulator.delay_s = Mode(given.mode), given.delay_s

    async def receive() -> None:
        async with regulator:
            print(json.dumps({"port": regulator.port}), flush=True)
            await asyncio.Event().wait()

    await until_signalled(receive())
    print(json.dumps(regulator.counts.told(), ensure_ascii=False), flush=True)
    return OK


def _beacon(given: argparse.Namespace) -> int:
    return asyncio.run(_show(given))


async def _show(given: argparse.Namespace) -> int:
    from davylamp_simulators.beacon import Moved, RelayModule, pressed_on, told
    from davylamp_simulators.stopping import until_signalled

    def tell(moved: Moved) -> None:
        zh, en = told(moved)
        fields = {"coil": moved.coil, "closed": moved.closed, "by_watchdog": moved.by_watchdog, "zh": zh, "en": en}
        print(json.dumps(fields, ensure_ascii=False) if given.json else fields[given.lang], flush=True)

    module = RelayModule(given.watchdog_s, on_change=tell)

    async def show() -> None:
        await module.start(given.host, given.port)
        print(json.dumps({"port": module.port}), flush=True)
        try:
            with pressed_on(module, sys.stdin):
                await asyncio.Event().wait()
        finally:
            await module.stop()

    await until_signalled(show())
    return OK


def _demo(given: argparse.Namespace) -> int:
    from davylamp_simulators.demo import DemoOptions, run_demo

    return run_demo(DemoOptions.of(given))


def _list(_: argparse.Namespace) -> int:
    print("scenarios:")
    for name in scenario_names():
        scenario = load_scenario(name)
        print(f"  {name:20} {scenario.zh} / {scenario.en}")
    print("recordings:")
    for name in recording_names():
        config = recording_config(name)
        print(f"  {name:20} {config.zh} / {config.en}\n  {'':20} {config.licence}")
    return OK


if __name__ == "__main__":
    sys.exit(main())
