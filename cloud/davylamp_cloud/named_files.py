"""What is wrong in the files that a config names: keys, passwords and certificates, read before a cloud runs with them.

Each part of the config is looked at by itself, so that a mistake in another hides none of these.
"""

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from davylamp_wire.config import ConfigError, Section, mistaken, read_toml, secret_from
from pydantic import ValidationError

from davylamp_cloud.config import (
    BrokerConfig,
    HistorianConfig,
    ReceiverConfig,
    TokenConfig,
    anchored,
    missing_files,
    table_in,
    tables_in,
)
from davylamp_cloud.notify import NOTIFIERS, open_notifier

Part = TypeVar("Part", bound=Section)


def file_mistakes(path: Path) -> list[str]:
    """Return every mistake in the files that a config names; of those that are not there the config tells."""
    try:
        table = read_toml(path)
    except ConfigError:
        return []
    folder, found = path.parent.resolve(), list[str]()
    for one in tables_in(table, "receivers"):
        found += _of(ReceiverConfig, one, folder, _open_receiver)
    for one in tables_in(table, "tokens"):
        found += _of(TokenConfig, one, folder, lambda token: secret_from(token.token_file, None, f"token {token.name}"))
    found += _of(BrokerConfig, table_in(table, "broker"), folder, _open_broker)
    kind = table_in(table, "historian")
    found += _of(HistorianConfig, kind, folder, lambda its: secret_from(its.token_file, None, "the historian's token"))
    return found


def _of(model: type[Part], table: dict[str, Any], folder: Path, read: Callable[[Part], object]) -> Iterator[str]:
    """Yield what is wrong with the files of one part, where it is right itself and they are there."""
    try:
        part = model.model_validate(table)
    except ValidationError:
        return
    if missing_files(table, folder):
        return
    try:
        read(anchored(part, folder))
    except ConfigError as error:
        yield from error.mistakes


def _open_receiver(receiver: ReceiverConfig) -> None:
    """Read a receiver's keys. A variable that only the service has is not asked for."""
    if receiver.kind in NOTIFIERS and (receiver.secret_env is None or receiver.secret_env in os.environ):
        open_notifier(receiver)


def _open_broker(broker: BrokerConfig) -> None:
    secret_from(broker.password_file, None, "broker.password_file")
    tls = broker.tls
    if tls is None:
        return
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(file) for file in (tls.ca_file, tls.cert_file, tls.key_file) if file is not None)
        raise mistaken(
            f"broker.tls: {files}: are no certificates and key (PEM) that fit ({error}); ask who made them",
            f"broker.tls：{files}：不是相配的证书和私钥（PEM）（{error}）；请向签发者重新取得",
        ) from None
