"""What a confirmation from the cloud means for the edge. The latest set is the whole truth (docs/wire.md)."""

from davylamp_wire.intervals import Confirmation, Intervals


def confirmed_set(text: str, epoch: str) -> Intervals | None:
    """Return the confirmed record numbers of our epoch; None where another epoch is meant.

    Raises: ValueError where the text is no confirmation; everything is kept then.
    """
    confirmation = Confirmation.parse(text)
    return confirmation.records if confirmation.epoch == epoch else None


def forgotten_from(before: Intervals, after: Intervals) -> int | None:
    """Return the lowest number that was confirmed before and is not any more, or None.

    A cloud restored from yesterday's backup forgets; its edges fill it again (SAFETY S27).
    """
    for first, last in before:
        for lowest, _ in after.missing(first, last):
            return lowest
    return None
