"""The command ``davylamp-cloud``."""

import argparse
import contextlib
import gc
import logging
import secrets
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import structlog
from davylamp_wire.config import ConfigError, secret_from
from davylamp_wire.piping import as_long_as_read

from davylamp_cloud.config import CloudConfig, load_config
from davylamp_cloud.dataclass_code import dataclass_code_kept
from davylamp_cloud.startup import Startup

if TYPE_CHECKING:
    from davylamp_cloud.app import App

OK, FAILED, BAD_INPUT = 0, 1, 2

DESCRIPTION = """\
Davylamp's cloud: takes what edges send over MQTT, keeps every reading, evaluates limits, raises alarms, tells
regulators with signed webhooks, and serves API and console. One process, one folder.
云端：接收各边缘网关数据，逐条落盘，判定限值并报警，向监管部门发送签名通知，提供接口与值班界面。"""

EPILOG = """\
exit codes: 0 ok, 1 failed, 2 bad input (config or command line)

  davylamp-cloud check cloud.toml       find every mistake before the cloud runs, and odd limits of registered tags
  davylamp-cloud run cloud.toml         run until SIGTERM or Ctrl-C; prints the console's address
  davylamp-cloud verify cloud.toml      check the hash chains of its transitions
  davylamp-cloud why cloud.toml TAG     why it alarmed, or did not; --at 03:10 for a moment of the past
  davylamp-cloud backtest cloud.toml --rules new.toml   what other limits would have changed; --csv day.csv
  davylamp-cloud train cloud.toml --from 7d --out plant.json   learn from a week of normal operation
  davylamp-cloud backup cloud.toml FOLDER    copy everything it keeps while it runs; the folder again: renewed
  davylamp-cloud restore cloud.toml FOLDER   put a backup into an empty data_dir
  davylamp-cloud token                  make a token, and the hash of it for the config

The config file is explained key by key in cloud/example.toml."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    return as_long_as_read(lambda: _act(arguments))


def _act(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    try:
        return int(given.act(given))
    except ConfigError as error:
        print(f"davylamp-cloud: {error}", file=sys.stderr)
        return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "davylamp-cloud", description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, act, words in (
        ("run", _run, "take, keep, watch and tell until stopped (运行)"),
        ("check", _check, "read a config, say every mistake in it; judge all limits in force (检查配置与限值)"),
        ("verify", _verify, "check that no stored transition was changed (校验哈希链)"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("file", type=Path, metavar="FILE", help="the cloud's config, TOML")
        command.set_defaults(act=act)
        if name == "run":
            command.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    _add_why(commands.add_parser("why", help="why a tag alarmed or did not, at a moment (为什么报警或不报警)"))
    _add_backtest(commands.add_parser("backtest", help="what other limits would have changed (规则回测)"))
    _add_train(commands.add_parser("train", help="let statistical rules learn from a window of history (训练)"))
    _add_trained(
        commands.add_parser("trained", help="what a training holds, and whether it is what it was (查看训练结果)")
    )
    _add_copies(
        commands.add_parser("backup", help="copy everything it keeps, while it runs (备份)"),
        commands.add_parser("restore", help="put a backup into an empty data_dir (恢复)"),
    )
    commands.add_parser("token", help="make a token and its hash (生成令牌)").set_defaults(act=_token)
    _add_grafana(commands.add_parser("grafana", help="dashboards for Grafana (仪表盘)"))
    return parser


def _add_why(why: argparse.ArgumentParser) -> None:
    why.add_argument("file", type=Path, metavar="FILE", help="the cloud's config, TOML; the cloud may run meanwhile")
    why.add_argument("tag", metavar="TAG", help="tag id, or the plant's own name for it (位号)")
    why.add_argument("--at", metavar="TIME", help="2026-11-27T03:10, the last 03:10, or 10m (ago); now, if not given")
    why.add_argument("--language", choices=("zh", "en"), help="of the answer; the config's, if not given")
    why.add_argument("--json", action="store_true", help="the answer for programs, with codes")
    why.set_defaults(act=_why)


def _add_backtest(backtest: argparse.ArgumentParser) -> None:
    from davylamp_cloud.backtest.options import add_options

    add_options(backtest)
    backtest.set_defaults(act=_backtest)


def _add_train(train: argparse.ArgumentParser) -> None:
    from davylamp_cloud.training import command

    command.add_options(train)
    train.set_defaults(act=lambda given: command.train(given, load))


def _add_trained(trained: argparse.ArgumentParser) -> None:
    from davylamp_cloud.training import trained as command

    command.add_options(trained)
    trained.set_defaults(act=command.trained)


def _add_copies(backup: argparse.ArgumentParser, restore: argparse.ArgumentParser) -> None:
    from davylamp_cloud.copies import command

    command.add_backup(backup, load)
    command.add_restore(restore, load)


def _add_grafana(grafana: argparse.ArgumentParser) -> None:
    commands = grafana.add_subparsers(dest="what", required=True, metavar="COMMAND")
    push = commands.add_parser("push", help="put data source and dashboards into a Grafana that exists")
    push.add_argument("--url", required=True)
    push.add_argument("--token-file", required=True, type=Path)
    push.add_argument("--influx-url", required=True)
    push.add_argument("--influx-token-file", type=Path)
    push.add_argument("--influx-database", default="davylamp")
    push.set_defaults(act=_grafana_push)
    write = commands.add_parser("write", help="write the dashboards as JSON files")
    write.add_argument("folder", type=Path)
    write.set_defaults(act=_grafana_write)


def load(file: Path) -> CloudConfig:
    """Return a config with the kinds of historian and notifier this installation has."""
    from davylamp_cloud.historian import HISTORIANS
    from davylamp_cloud.notify import NOTIFIERS

    return load_config(file, HISTORIANS, NOTIFIERS)


def _without_mistakes(file: Path) -> CloudConfig:
    """Return a config in which, and in whose files, there is nothing wrong; else every mistake in one go."""
    from davylamp_cloud.named_files import file_mistakes

    mistakes = list[str]()
    try:
        config = load(file)
    except ConfigError as error:
        mistakes = error.mistakes
    mistakes += file_mistakes(file)
    if mistakes:
        raise ConfigError(mistakes)
    return config


def _check(given: argparse.Namespace) -> int:
    # Imported late: a refused config needs no database.
    from davylamp_cloud.register_page import register_lines

    config = _without_mistakes(given.file)
    print(f"{given.file}: good (正确)")
    print(f"  data      (数据) {config.data_dir}")
    print(f"  broker    (消息服务器) {config.broker.host}:{config.broker.port}, host id (主机名) {config.host_id}")
    print(f"  console   (值班界面) {config.http.host}:{config.http.port}, tokens (令牌) {len(config.tokens)}")
    print(f"  historian (历史库) {config.historian.kind}")
    for receiver in config.receivers:
        sources = ", ".join(receiver.hazard_sources) or "all hazard sources (全部重大危险源)"
        print(f"  receiver  (接收方) {receiver.name}: {', '.join(receiver.priorities)} <- {sources}")
    for line in register_lines(config.data_dir, config.language):
        print(line)
    return OK


def _run(given: argparse.Namespace) -> int:
    startup = Startup()
    with contextlib.ExitStack() as starting:
        starting.enter_context(_uncollected())
        starting.enter_context(dataclass_code_kept())
        app = _built(given, startup)
        return app if isinstance(app, int) else _until_signalled(app, starting.close)


def _built(given: argparse.Namespace, startup: Startup) -> "App | int":
    """Return the cloud, or the exit code where it cannot be built."""
    config = load(given.file)
    _log_to_stderr(given.log_level)
    # Imported late: `--help` and a refused config need no web server.
    from davylamp_cloud.app import App
    from davylamp_cloud.retention import FolderTaken

    startup.mark("imports")
    try:
        return App(config, startup=startup)
    except (FolderTaken, OSError, sqlite3.Error) as error:
        print(f"davylamp-cloud: {error}", file=sys.stderr)
        return FAILED


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let the collector rest: what a start makes stays, and looking through it was a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        gc.enable()


COLLECT_AFTER = 10_000
"""Objects made before the collector looks for rings among them; Python's own 700 was a twentieth of a storm's time."""


SWITCH_S = 0.001
"""A thread that wants the interpreter waits this long at most for one that computes.

A notice takes the interpreter back after every call of a file or a socket. With Python's own 5 ms, each time, fifty
notices a second were all that got through while readings were evaluated.
"""


def _until_signalled(app: "App", started: Callable[[], None]) -> int:
    sys.setswitchinterval(SWITCH_S)
    with _signals(app):
        try:
            app.start()
            started()
            print(f"console {app.url}", flush=True)
            error = app.wait()
        except (ImportError, OSError, sqlite3.Error) as failure:
            error = failure
        finally:
            app.stop()
    if error is not None:
        print(f"davylamp-cloud: stopped: {type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    return OK


@contextlib.contextmanager
def _signals(app: "App") -> Iterator[None]:
    """Let SIGTERM and SIGINT ask for a clean stop; a second one no longer interrupts it half way."""

    def end(number: int, frame: FrameType | None) -> None:
        app.end()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _verify(given: argparse.Namespace) -> int:
    from davylamp_cloud.store.state import State
    from davylamp_cloud.store.verify import verify_chain

    path = load(given.file).data_dir / "state.db"
    if not path.is_file():
        raise ConfigError([f"{path}: is not there; name the config of a cloud that has run"])
    state = State(path, looking=True)
    try:
        found = verify_chain(state)
    finally:
        state.close()
    if found is None:
        print(f"{path}: every chain holds (哈希链完整)")
        return OK
    print(f"{path}: chain {found.chain}, row {found.number}: {found.reason}", file=sys.stderr)
    return FAILED


def _why(given: argparse.Namespace) -> int:
    from davylamp_cloud.api.words import quality_text
    from davylamp_cloud.why_page import answer

    print(answer(load(given.file), given.tag, given.at, given.language, quality_text, as_json=given.json))
    return OK


def _backtest(given: argparse.Namespace) -> int:
    from davylamp_cloud.backtest.command import backtest

    return backtest(given, load)


def _token(given: argparse.Namespace) -> int:
    from argon2 import PasswordHasher

    token = secrets.token_urlsafe(32)
    print(f"token {token}")
    print(f'hash = "{PasswordHasher().hash(token)}"')
    print("Give the token to its bearer now; only the hash goes into the config.", file=sys.stderr)
    print("请现在把令牌交给使用者；配置中只写哈希值。", file=sys.stderr)
    return OK


def _grafana_push(given: argparse.Namespace) -> int:
    from davylamp_cloud.grafana.push import Database, GrafanaRefused, push

    token = secret_from(given.token_file, None, "Grafana's token")
    influx = secret_from(given.influx_token_file, None, "InfluxDB's token")
    assert token is not None
    try:
        for address in push(given.url, token, Database(given.influx_url, given.influx_database, influx)):
            print(address)
    except GrafanaRefused as error:
        print(f"davylamp-cloud: {error}", file=sys.stderr)
        return FAILED
    return OK


def _grafana_write(given: argparse.Namespace) -> int:
    from davylamp_cloud.grafana.boards import write

    for path in write(given.folder):
        print(path)
    return OK


def _log_to_stderr(level: str) -> None:
    """Log key=value lines; at the pace of events, never of readings."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
