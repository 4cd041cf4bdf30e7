"""How much training tells of a value that wanders: rows that know of each other are fewer than they are."""

import numpy as np

from davylamp_alarms.batch import Floats

FORGOTTEN = 0.05
"""An autocorrelation this small counts as none; what comes after it is mostly noise."""

FREEDOM = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 1e9)
STUDENT = (318.3, 22.33, 10.21, 7.173, 5.893, 5.208, 4.501, 4.144, 3.733, 3.552, 3.385, 3.232, 3.090)
"""Student's t that one in a thousand passes, by degrees of freedom. Source: NIST/SEMATECH e-Handbook 1.3.6.7.2."""


def independent_rows(statistic: Floats) -> Floats:
    """Return how many independent rows each column is worth, shape (rows, tags); NaN is passed over.

    ``n / (1 + 2·Σ r)`` with the autocorrelations ``r`` until they are forgotten.

    Source: G. V. Bayley, J. M. Hammersley, J. R. Stat. Soc. Suppl. 8 (1946) 184.
    """
    return np.array([_worth(column[np.isfinite(column)]) for column in statistic.T])


def _worth(value: Floats) -> float:
    count = len(value)
    if count < 2:
        return float(count)
    spectrum = np.abs(np.fft.rfft(value - value.mean(), 2 * count)) ** 2
    covariance = np.fft.irfft(spectrum)[:count]
    if covariance[0] <= 0:
        return 1.0
    correlation = covariance / covariance[0]
    forgotten = np.flatnonzero(correlation <= FORGOTTEN)
    known = correlation[1 : forgotten[0]] if forgotten.size else correlation[1:]
    return float(count / (1 + 2 * known.sum()))


def widening(rows: Floats) -> Floats:
    """Return how many times wider a limit has to be that so few independent rows tell of: Student's t over normal."""
    freedom, t = np.array(FREEDOM), np.array(STUDENT)
    wider: Floats = np.interp(1 / np.maximum(rows - 1, 1.0), 1 / freedom[::-1], t[::-1] / t[-1])
    return wider
