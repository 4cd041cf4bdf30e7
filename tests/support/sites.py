"""Small simulated sites for tests: a plant from a few words, on ports of the system's choice."""

from pathlib import Path
from typing import Any

from davylamp_simulators.plant import make_plant
from davylamp_simulators.site import Site

CHLORINE = {"name": "cl2-store", "profile": "cl2-store", "protocol": "modbus", "process": "chlorine-store", "port": 0}
SPHERE = {"name": "lpg-sphere", "profile": "lpg-sphere", "protocol": "opcua", "process": "lpg-sphere", "port": 0}


def small_site(folder: Path, *devices: dict[str, Any], **settings: Any) -> Site:
    """Return a site with a ledger in ``folder/ledger.jsonl``; devices default to the chlorine store."""
    table = {"ledger": "ledger.jsonl", "devices": list(devices or (CHLORINE,)), **settings}
    return Site(make_plant(table, folder / "plant.toml"))
