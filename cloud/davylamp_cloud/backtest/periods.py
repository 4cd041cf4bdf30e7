"""How often a tag reports."""

import numpy as np
from davylamp_alarms.batch import Ints


def period_s(time_ms: Ints) -> float:
    """Return how far apart readings usually are; 0 where there are too few to tell."""
    apart = np.diff(time_ms)
    apart = apart[apart > 0]
    return float(np.median(apart)) / 1000 if apart.size else 0.0
