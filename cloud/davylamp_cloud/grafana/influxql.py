"""What the dashboards ask InfluxDB. Each query is data, so that a test can run every one against the real store.

Three kinds of measurement: one per profile with a field per point (historian/influx_lines.py), `davylamp_alarm` and
`davylamp_limit` (historian/announce.py).
"""

from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef

SOURCE = DataSourceRef(type_val="influxdb", uid="davylamp-influxdb")

STANDING = (
    'SELECT * FROM (SELECT last("standing") AS "standing", "priority", "hazard_source", "plant_tag", "letter", '
    '"value", "limit", "text_{language}" FROM "davylamp_alarm" WHERE $timeFilter GROUP BY "alarm") '
    'WHERE "standing" > 0'
)
COUNT = (
    'SELECT sum("standing") FROM (SELECT last("standing") AS "standing", "priority" FROM "davylamp_alarm" '
    'WHERE $timeFilter GROUP BY "alarm") WHERE "standing" > 0 AND "priority" = \'{priority}\''
)
VALUE = (
    'SELECT mean("${point}") FROM "${profile}" WHERE "device" =~ /^${device:regex}$/ AND $timeFilter '
    'GROUP BY time($__interval), "device" fill(none)'
)
LIMITS = (
    'SELECT last("LL") AS "LL", last("L") AS "L", last("H") AS "H", last("HH") AS "HH", last("L1") AS "L1", '
    'last("L2") AS "L2" FROM "davylamp_limit" WHERE "device" =~ /^${device:regex}$/ AND "point" = \'${point}\' '
    "AND $timeFilter GROUP BY time($__interval) fill(previous)"
)
TRANSITIONS = (
    'SELECT "event", "priority", "hazard_source", "text_{language}" FROM "davylamp_alarm" '
    "WHERE \"event\" <> 'standing' AND $timeFilter ORDER BY time DESC LIMIT 200"
)

PROFILES = "SHOW MEASUREMENTS"
DEVICES = 'SHOW TAG VALUES FROM "${profile}" WITH KEY = "device"'
POINTS = 'SHOW FIELD KEYS FROM "${profile}"'


@dataclass(frozen=True, slots=True)
class InfluxQl(builder.Builder[variants.Dataquery], variants.Dataquery):
    """A raw InfluxQL query of a panel; it is its own builder."""

    query: str
    ref: str
    form: str = "time_series"
    alias: str = ""

    def build(self) -> variants.Dataquery:
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the query as Grafana's InfluxDB data source stores it."""
        shared = {"query": self.query, "rawQuery": True, "refId": self.ref, "resultFormat": self.form}
        return {**shared, "alias": self.alias, "datasource": SOURCE.to_json()}
