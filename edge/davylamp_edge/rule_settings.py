"""What statistical rules say of their own settings, for the person at `davylamp-edge check`.

The rules run in the cloud and need NumPy; an edge has them where the extra `edge-alarms` is installed. A running edge
never asks: a rule set wrongly is left out by the cloud, and blinds nothing else (SAFETY S14).
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from davylamp_wire.config import mistakes_of
from davylamp_wire.point import EarlyWarning
from pydantic import ValidationError

from davylamp_edge.install import Installed

WAY = "pip install 'davylamp[edge-alarms]'"


def setting_mistakes(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield one line per setting that a rule does not take; nothing where the rules are not installed."""
    if find_spec("numpy") is None:
        return
    for device in devices:
        for name, point in zip(device.names, device.points, strict=True):
            for rule, warning in point.warnings.items():
                if warning.model:  # of a training that is named as a mistake itself
                    continue
                yield from _mistakes(f"devices.{device.name}.points.{name}.warnings.{rule}.settings", rule, warning)


def unjudged_settings(devices: Sequence[Installed]) -> Iterator[str]:
    """Yield that settings of rules were not looked at, where that is so."""
    if find_spec("numpy") is None and any(point.warnings for device in devices for point in device.points):
        yield f"note: settings of statistical rules are judged by the cloud; to have them judged here: {WAY}"
        yield "    (规则设置由云端核对，本机未核对)"


def _mistakes(key: str, rule: str, warning: EarlyWarning) -> Iterator[str]:
    from davylamp_alarms.wanted import judge_settings

    try:
        judge_settings(rule, warning.settings, warning.inputs)
    except ValidationError as error:
        yield from mistakes_of(error, key)
    except (ValueError, TypeError, OverflowError) as error:
        yield f"{key}: {error}"
