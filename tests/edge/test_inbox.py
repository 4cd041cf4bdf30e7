"""What wakes the uplink's thread, and what does not."""

import threading
import time

from davylamp_edge.inbox import Inbox
from davylamp_edge.link import Drained


def test_who_heeds_nothing_rests_until_it_is_due_whatever_comes() -> None:
    """A session that fails at its beginning, again and again, would knock at the broker with every event of it."""
    inbox, until_s = Inbox(is_new=False), time.monotonic() + 0.2
    posting = threading.Timer(0.05, inbox.post, [Drained()])
    posting.start()
    assert not inbox.wait(until_s, heeds=False)
    assert time.monotonic() >= until_s
    posting.join()
    assert not inbox.wait(None)
    inbox.stop()
    assert inbox.wait(None, heeds=False)
