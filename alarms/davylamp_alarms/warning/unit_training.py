"""What a unit's model is trained from: rows of history in which nothing was wrong."""

import numpy as np

from davylamp_alarms.batch import Floats, Ints
from davylamp_alarms.warning.baseline import lag
from davylamp_alarms.warning.unit import UnitSettings
from davylamp_alarms.warning.unit_model import UnitModel

LEAST_VARIANCE = 1e-6
"""Components that vary less than this share of the first carry nothing but rounding."""


class NotEnoughTraining(ValueError):
    """Too few rows, or no input moves in them: give a longer window, or leave the dead inputs out."""


def train(
    settings: UnitSettings,
    time_ms: Ints,
    value: Floats,
    quantile: float = 0.975,
    margin: float = 1.0,
    folds: int = 5,
) -> UnitModel:
    """Return the model of a unit from its history.

    Limits are the `quantile` of T² and Q times `margin`, found by blocked cross-validation: each of `folds` stretches
    of the window is judged by a model of the others. A model judges the rows it was made from too kindly, the more so
    the more inputs and lags there are; and neighbouring rows are alike, so stretches, not single rows, are left out.

    Args:
        time_ms: Shape (rows,), rising.
        value: Shape (rows, inputs); NaN: missing. Rows with any input missing are left out; an input that is missing
            in more than half of the rows, or stands still, takes no part.

    Raises:
        NotEnoughTraining: The message says how many rows there are and how many are needed.

    Source: H. Hotelling, Ann. Math. Stat. 2 (1931) 360 (T²); S. Wold, Technometrics 20 (1978) 397 (cross-validation).
    """
    mean, deviation = _usual(value)
    used = deviation > 0
    if not used.any():
        raise NotEnoughTraining(f"none of the {len(used)} inputs moves in the {len(value)} training rows")
    kept = np.isfinite(value[:, used]).all(axis=1)
    z = np.zeros((int(kept.sum()), settings.inputs))
    z[:, used] = (value[kept][:, used] - mean[used]) / deviation[used]
    x = _windows(settings, time_ms[kept], z)
    if len(x) < 4 * folds:
        raise NotEnoughTraining(f"{len(x)} training rows without a gap, and {4 * folds} are the least")
    t2, q = _held_out(settings, x, folds)
    loadings, variances = _components(settings, x)
    kept = np.isfinite(variances)
    limited = kept.sum() < _rank(x)
    return UnitModel(
        mean=mean,
        home=mean,
        deviation=np.where(used, deviation, 0.0),
        loadings=loadings[kept],
        variances=variances[kept],
        correlation=z.T @ z / len(z),
        t2_limit=float(np.quantile(t2, quantile)) * margin,
        q_limit=float(np.quantile(q, quantile)) * margin if limited else np.inf,
    )


def _usual(value: Floats) -> tuple[Floats, Floats]:
    """Return mean and deviation of each input; 0 deviation: it takes no part."""
    there = np.isfinite(value)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, value, 0.0).sum(axis=0) / count
    deviation = np.sqrt((np.where(there, value - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count - 1, 1))
    moves = deviation > 1e-9 * (1 + np.abs(mean))
    return mean, np.where(moves & (count * 2 > len(value)), deviation, 0.0)


def _windows(settings: UnitSettings, time_ms: Ints, z: Floats) -> Floats:
    """Return each row smoothed and with its lags, as the rule will see them; rows without a full past are left out."""
    dt_s = np.diff(time_ms, prepend=time_ms[:1]) / 1000
    if settings.tau_s:
        z = _smoothed(z, dt_s, settings.tau_s)
    whole = np.concatenate([z[settings.lags - lag : len(z) - lag] for lag in range(settings.lags + 1)], axis=1)
    broken = np.concatenate([[0], np.cumsum(dt_s > settings.gap_s)])[1:]
    warm = broken[settings.lags :] == broken[: len(whole)]
    found: Floats = whole[warm]
    return found


def _smoothed(z: Floats, dt_s: Floats, tau_s: float) -> Floats:
    """Return the rows smoothed, the first settling from its own value."""
    smooth, level = np.empty_like(z), z[0]
    for row in range(len(z)):
        level = lag(level, z[row], dt_s[row : row + 1], tau_s)
        smooth[row] = level
    return smooth


def _rank(x: Floats) -> int:
    variances = np.linalg.eigvalsh(np.cov(x.T))
    return int((variances > LEAST_VARIANCE * variances[-1]).sum())


def _components(settings: UnitSettings, x: Floats) -> tuple[Floats, Floats]:
    """Return loadings and variances of the components that explain the share wanted, the others blanked."""
    variances, vectors = np.linalg.eigh(np.cov(x.T))
    variances, loadings = variances[::-1], vectors[:, ::-1].T
    before = np.concatenate([[0.0], np.cumsum(variances)[:-1]]) / variances.sum()
    kept = (before < settings.share) & (variances > LEAST_VARIANCE * variances[0])
    return np.where(kept[:, None], loadings, 0.0), np.where(kept, variances, np.inf)


def _held_out(settings: UnitSettings, x: Floats, folds: int) -> tuple[Floats, Floats]:
    """Return T² and Q of every row, by models that have not seen its stretch."""
    t2, q = np.empty(len(x)), np.empty(len(x))
    for rows in np.array_split(np.arange(len(x)), folds):
        others = np.delete(x, rows, axis=0)
        loadings, variances = _components(settings, others)
        centred = x[rows] - others.mean(axis=0)
        scores = centred @ loadings.T
        t2[rows] = (scores**2 / variances).sum(axis=1)
        q[rows] = (centred**2).sum(axis=1) - (scores**2).sum(axis=1)
    return t2, np.maximum(q, 0.0)
