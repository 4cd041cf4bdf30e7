"""The trainings that rules of this edge name: each file is read once, beside the config, and never while it runs.

What a file says of a point becomes a setting of the site, so that scans, births and reloads know of no files.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from davylamp_wire.finding import Finding
from davylamp_wire.point import EarlyWarning, Point
from davylamp_wire.profile import Profile
from davylamp_wire.trained import LEARNT, Place, Training, read_training, taught
from davylamp_wire.training_file import ArtefactError

from davylamp_edge.config import EdgeConfig, PointOverride
from davylamp_edge.install import SELF_PROFILE, address_of, with_override


class Models:
    """What the trainings' files say of this node's tags.

    Args:
        node: Its id, ``group/node``.
        tags: The ids of all its tags.
    """

    def __init__(self, node: str, tags: Collection[str]) -> None:
        self._node, self._tags = node, tags
        self._read: dict[str, Training | Finding] = {}

    def mistakes(self, point: Point, device: str, name: str) -> Iterator[Finding]:
        """Yield everything that does not fit between a point's rules and the files they name."""
        for rule in point.warnings:
            found = self._of(point, device, name, rule)
            yield from found if isinstance(found, list) else ()

    def taught(self, point: Point, device: str, name: str) -> dict[str, EarlyWarning]:
        """Return the point's rules that name a file, with what it says of the point; `mistakes` named all others."""
        found = {rule: self._of(point, device, name, rule) for rule in point.warnings}
        return {rule: one for rule, one in found.items() if isinstance(one, EarlyWarning)}

    def _of(self, point: Point, device: str, name: str, rule: str) -> EarlyWarning | list[Finding] | None:
        warning = point.warnings[rule]
        if not warning.model or rule not in LEARNT:  # what learns nothing is named by the linter
            return None
        training = self._training(warning.model)
        if isinstance(training, Finding):
            return [Finding(f"warnings.{rule}.model", training.en, training.zh)]
        return taught(rule, warning, Place(f"{self._node}/{device}", name, self._node, self._tags), training)

    def _training(self, file: str) -> Training | Finding:
        if file not in self._read:
            try:
                self._read[file] = read_training(Path(file))
            except ArtefactError as error:
                zh, en = error.words
                self._read[file] = Finding("model", en, zh)
        return self._read[file]


def models_of(table: Mapping[str, Any], profiles: Mapping[str, Profile]) -> Models:
    """Return the models of a raw config: the tags are those its devices would have, whatever else is wrong in it."""
    group = table.get("group", EdgeConfig.model_fields["group"].default)
    node, devices = f"{group}/{table.get('node')}", table.get("devices")
    tables = [one for one in devices if isinstance(one, dict)] if isinstance(devices, list) else []
    return Models(node, {tag for one in tables for tag in _tags(one, profiles, node)})


def _tags(device: Mapping[str, Any], profiles: Mapping[str, Profile], node: str) -> Iterator[str]:
    profile, said = profiles.get(str(device.get("profile"))), device.get("points")
    overrides = said if isinstance(said, dict) else {}
    for name, point in profile.points.items() if profile is not None else ():
        own = overrides.get(name)
        if address_of(point, str(device.get("driver"))) or (isinstance(own, dict) and own.get("address")):
            yield f"{node}/{device.get('name')}/{name}"


def with_models(config: EdgeConfig, profiles: Mapping[str, Profile], models: Models) -> EdgeConfig:
    """Return a config in which what trainings say of points is said by the site."""
    devices = tuple(
        device.model_copy(update={"points": points})
        if (points := _taught(device.points, profiles[device.profile], device.driver, device.name, models))
        else device
        for device in config.devices
    )
    own = config.self_monitoring
    if own is not None and (points := _taught(own.points, profiles[SELF_PROFILE], "self", own.name, models)):
        own = own.model_copy(update={"points": points})
    return config.model_copy(update={"devices": devices, "self_monitoring": own})


def _taught(
    said: Mapping[str, PointOverride], profile: Profile, driver: str, device: str, models: Models
) -> dict[str, PointOverride]:
    """Return a device's overrides with what trainings say of its points; empty where none says anything."""
    found = dict(said)
    for name, point in profile.points.items():
        override = said.get(name, PointOverride())
        if warnings := models.taught(with_override(point, override, driver), device, name):
            found[name] = override.model_copy(update={"warnings": {**override.warnings, **warnings}})
    return found if found != dict(said) else {}
