"""Which reds stand where an edge is, as text."""

import pytest
from davylamp_wire.red import MOST, decode_reds, encode_reds


def test_a_text_says_what_it_was_made_of_and_of_many_the_first() -> None:
    reds = {f"store/gas_{n}#L2": f"o-{n}" for n in range(2 * MOST)}
    assert list(decode_reds(encode_reds(reds)).items()) == list(reds.items())[:MOST]
    assert decode_reds(encode_reds({})) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_a_text_nobody_can_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="red alarms"):
        decode_reds(text)
