"""What DuckDB answers as columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def column(pages: list[dict[str, Any]], name: str, kind: Any) -> NDArray[Any]:
    """Return a column over all pages; SQL's NULL becomes NaN, or None where it is text."""
    parts = [np.asarray(_filled(page[name], kind), kind) for page in pages]
    return np.concatenate(parts) if parts else np.empty(0, kind)


def _filled(column: NDArray[Any], kind: Any) -> NDArray[Any]:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    filled = column.data.copy()
    filled[np.ma.getmaskarray(column)] = None if kind is object else np.nan
    return filled
