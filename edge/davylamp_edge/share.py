"""How much of a line's time its silent devices may cost the others: less than a tenth, measured in time. Pure."""

PART = 15
"""One part in fifteen: with what the others lose in turns, a tenth of their rate is kept in every minute."""


class Share:
    """One device's account: each wait in vain is paid for with fourteen times as much rest.

    A device that answered and owes nothing is tried again at once, for one frame lost to noise is no dead device; that
    miss is paid for together with the next.
    """

    def __init__(self) -> None:
        self._paid_s = 0.0
        self._answered = True

    def answer(self) -> None:
        """Note that the device answers."""
        self._answered = True

    def charge(self, began_s: float, ended_s: float, silent: int) -> float:
        """Note a wait in vain; return until when the device must rest.

        ``silent`` devices share that part, this one among them.
        """
        owes = began_s < self._paid_s or not self._answered
        self._answered = False
        self._paid_s = max(began_s, self._paid_s) + PART * silent * (ended_s - began_s)
        return self._paid_s if owes else ended_s
