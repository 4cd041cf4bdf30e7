"""A process that writes history until it is killed: ``python writing.py FOLDER``.

Batch n holds readings n*10 .. n*10+9 of tag 0, spread over two days, and moves the cursor to n. Each batch that was
acknowledged is printed.
"""

import sys
from itertools import count
from pathlib import Path

from davylamp_cloud.historian import Rows
from davylamp_cloud.historian.duckdb import DuckDbHistorian

from support.history import MIDNIGHT_MS, rows

PER_BATCH = 10


def batch(number: int) -> Rows:
    """Return a batch's rows: every other reading belongs to the day before."""
    places = range(number * PER_BATCH, (number + 1) * PER_BATCH)
    return rows([(number, 0, MIDNIGHT_MS + (n if n % 2 else n - 86_400_000), float(n), 0) for n in places])


def main() -> None:
    historian = DuckDbHistorian(Path(sys.argv[1]))
    for number in count(historian.cursor() + 1):
        historian.write(batch(number), number)
        print(number, flush=True)


if __name__ == "__main__":
    main()
