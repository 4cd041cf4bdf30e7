"""The two languages of every text a person reads, and how a reader's language is chosen.

Catalogues are plain gettext ``.po`` files beside this module. They are compiled when they are first wanted and kept
for exactly that text, so that a wheel, a checkout and an edited translation all behave the same and no build step can
be forgotten.
"""

import gettext
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from io import BytesIO
from pathlib import Path

from davylamp_cloud.kept import keep, kept

LOCALES = Path(__file__).parent / "locale"


class Language(StrEnum):
    """A language the screens and messages speak. The value is what configs, cookies and ``lang`` say."""

    ZH = "zh"
    EN = "en"

    @property
    def tag(self) -> str:
        """BCP 47 tag, for the page's ``lang`` (fonts and screen readers follow it)."""
        return {"zh": "zh-CN", "en": "en"}[self.value]

    @property
    def folder(self) -> str:
        return {"zh": "zh_Hans_CN", "en": "en"}[self.value]


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text in both languages."""

    zh: str
    en: str

    def in_(self, language: Language) -> str:
        return self.zh if language is Language.ZH else self.en

    def as_dict(self) -> dict[str, str]:
        return {"zh": self.zh, "en": self.en}


KNOWN: dict[str | None, Language] = {language.value: language for language in Language}


def mark(message: str) -> str:
    """Return a message unchanged; the extractor finds it by this call and `translate` is called later."""
    return message


@cache
def translations(language: Language) -> gettext.GNUTranslations:
    """Return a language's catalogue, compiled from its ``.po`` file."""
    path = LOCALES / language.folder / "davylamp.po"
    text = path.read_bytes()
    mark = hashlib.sha256(text).hexdigest()
    compiled = kept(path, mark)
    if compiled is None:
        compiled = _compiled(language, text)
        keep(path, mark, compiled)
    return gettext.GNUTranslations(BytesIO(compiled))


def _compiled(language: Language, text: bytes) -> bytes:
    # Imported late: where the catalogue is kept, nothing needs the compiler.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(text), locale=language.folder))
    return compiled.getvalue()


def translate(language: Language, message: str, **values: object) -> str:
    """Return a message in a language, with its ``{name}`` places filled."""
    text = translations(language).gettext(message)
    return text.format(**values) if values else text


def both(message: str, **values: object) -> Bilingual:
    """Return a message in both languages; a value that is `Bilingual` goes into each in its own."""
    filled = {
        language: {key: value.in_(language) if isinstance(value, Bilingual) else value for key, value in values.items()}
        for language in Language
    }
    return Bilingual(
        zh=translate(Language.ZH, message, **filled[Language.ZH]),
        en=translate(Language.EN, message, **filled[Language.EN]),
    )


def choose(wanted: str | None, accepted: str | None, default: Language) -> Language:
    """Return the language of a reader: the one they picked, else the browser's first known, else the site's."""
    if wanted in KNOWN:
        return KNOWN[wanted]
    for part in (accepted or "").split(","):
        primary = part.split(";")[0].strip().split("-")[0].lower()
        if primary in KNOWN:
            return KNOWN[primary]
    return default
