"""What a config says of masks and of who is on duty, as a change in the log: the engine knows no config. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from davylamp_alarms.definition import MaskDef
from davylamp_alarms.engine import Engine

from davylamp_cloud.config import MaskConfig, SiteConfig


def site_change(masks: Sequence[MaskConfig], sites: Sequence[SiteConfig]) -> dict[str, Any]:
    """Return the change that puts masks and one-person positions in force."""
    alone = sorted({group for site in sites if site.one_person for group in site.groups})
    return {"op": "site", "masks": [asdict(_mask(mask)) for mask in masks], "one_person": alone}


CONFIG = "cloud.toml"
"""Who changed it, as far as that is known: what a config says is whoever's who may write it (SAFETY S29)."""


def in_force(engine: Engine) -> dict[str, Any]:
    """Return which masks there are and where one person is on duty alone, as the audit chain has it."""
    masks = {name: asdict(mask) for name, mask in sorted(engine.masks().items())}
    return {"masks": masks, "one_person": sorted(engine.one_person())}


def masks_of(said: Mapping[str, Any]) -> tuple[MaskDef, ...]:
    """Return the masks such a change names."""
    return tuple(MaskDef(**{**mask, "alarms": tuple(mask["alarms"])}) for mask in said["masks"])


def _mask(config: MaskConfig) -> MaskDef:
    return MaskDef(
        config.name,
        config.hazard_source,
        config.alarms,
        config.people,
        config.input,
        config.zh,
        config.en,
        config.responsible,
    )
