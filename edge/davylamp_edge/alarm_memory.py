"""Under which names the journal keeps what alarms decided here must remember. Needs no NumPy: every edge looks here."""

from davylamp_edge.journal import Journal

LIFE, RUN, KEPT = "alarms_life", "alarms_run", "alarm "
"""The name of this memory, how often it was begun with, and (with its id) each alarm."""

LEFT = "alarms_left"
"""That this edge has run since without deciding any alarm."""


def note_left(journal: Journal) -> None:
    """Note that this edge decides no alarm now: what stood is another's, and says nothing once it is local again."""
    if journal.kept(LIFE) and not journal.kept(LEFT):
        journal.keep(LEFT, "yes")
