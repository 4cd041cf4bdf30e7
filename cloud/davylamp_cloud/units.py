"""Whether two units are the same, whatever their spelling. Pure."""

import unicodedata


def is_other(unit: str, said: str, own: bool) -> bool:
    """Return whether a birth says another unit than a tag's; a foreign edge that says none says nothing of it.

    ``m³`` and ``m3``, ``℃`` and ``°C`` are the same (Unicode's NFKC); ``mW`` and ``MW`` are not.
    """
    return (own or said != "") and _plain(unit) != _plain(said)


def _plain(unit: str) -> str:
    return "".join(unicodedata.normalize("NFKC", unit).split())
