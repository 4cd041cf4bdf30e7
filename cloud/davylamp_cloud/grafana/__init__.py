"""Grafana: dashboards built with Grafana's own SDK, read in InfluxQL, which InfluxDB 1.x, 2.x and 3 all speak."""
