"""Puts data source, folder and dashboards into a Grafana that exists already, through grafana-client.

What is there under our uids is replaced; nothing else is touched. Tested against recorded HTTP; not run here against
a Grafana (docs/how-to/grafana.md).
"""

import json
from dataclasses import dataclass
from typing import Any

from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException, TokenAuth
from pydantic import SecretStr

from davylamp_cloud.grafana.boards import LANGUAGES, encoded, overview
from davylamp_cloud.grafana.influxql import SOURCE

FOLDER_UID = "davylamp"
FOLDER_TITLE = "安灯 Davylamp"
NOT_FOUND = 404


class GrafanaRefused(Exception):
    """Grafana did not take it; the message says what it answered and what to do."""


@dataclass(frozen=True, slots=True)
class Database:
    """The InfluxDB that Grafana is to read; `token` may be None for InfluxDB 1.x without authentication."""

    url: str
    name: str
    token: SecretStr | None = None

    def as_datasource(self) -> dict[str, Any]:
        """Return the data source as Grafana's HTTP API takes it."""
        secret = {"httpHeaderValue1": f"Token {self.token.get_secret_value()}"} if self.token else {}
        header = {"httpHeaderName1": "Authorization"} if self.token else {}
        return {
            "uid": SOURCE.uid,
            "name": "davylamp",
            "type": SOURCE.type_val,
            "access": "proxy",
            "url": self.url,
            "isDefault": False,
            "jsonData": {"dbName": self.name, "httpMode": "POST", **header},
            "secureJsonData": secret,
        }


def push(url: str, token: SecretStr, database: Database, timeout_s: float = 10.0) -> list[str]:
    """Put everything into the Grafana at a URL and return where the dashboards are.

    Raises: GrafanaRefused, when it does not answer or says no.
    """
    grafana = GrafanaApi.from_url(url, credential=TokenAuth(token.get_secret_value()), timeout=timeout_s)
    try:
        _put_datasource(grafana, database)
        _put_folder(grafana)
        return [url.rstrip("/") + _put_dashboard(grafana, language) for language in LANGUAGES]
    except GrafanaException as error:
        raise GrafanaRefused(
            f"Grafana answered {error.status_code} ({error.message}); the token needs the role Admin"
        ) from None
    except OSError as error:
        raise GrafanaRefused(f"Grafana does not answer at the given URL ({type(error).__name__})") from None
    finally:
        grafana.client.s.close()


def _put_datasource(grafana: GrafanaApi, database: Database) -> None:
    wanted = database.as_datasource()
    if _exists(lambda: grafana.datasource.get_datasource_by_uid(SOURCE.uid)):
        grafana.datasource.update_datasource_by_uid(SOURCE.uid, wanted)
    else:
        grafana.datasource.create_datasource(wanted)


def _put_folder(grafana: GrafanaApi) -> None:
    if not _exists(lambda: grafana.folder.get_folder(FOLDER_UID)):
        grafana.folder.create_folder(FOLDER_TITLE, uid=FOLDER_UID)


def _put_dashboard(grafana: GrafanaApi, language: str) -> str:
    board = json.loads(encoded(overview(language)))
    answer = grafana.dashboard.update_dashboard({"dashboard": board, "folderUid": FOLDER_UID, "overwrite": True})
    return str(answer["url"])


def _exists(get: Any) -> bool:
    try:
        get()
    except GrafanaClientError as error:
        if error.status_code == NOT_FOUND:
            return False
        raise
    return True
