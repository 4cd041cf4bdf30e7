"""Every text a person reads exists in Chinese and in English."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter

import davylamp_cloud
import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from davylamp_cloud.api.language import LOCALES, Bilingual, Language, both, choose, translate

PACKAGE = Path(davylamp_cloud.__file__).parent
METHODS = [("**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
TEMPLATES = sorted((PACKAGE / "console" / "templates").rglob("*.html"))
NAMES = {"安灯 Davylamp", "Davylamp"}
SPOKEN = ("title", "aria-label", "placeholder", "alt", "value", "label")


def messages() -> set[str]:
    """Return every message the sources and templates ask for."""
    found = set()
    for part in ("api", "console"):
        keywords = {"mark": None, "_": None}
        for _, _, message, _, _ in extract_from_dir(PACKAGE / part, METHODS, keywords=keywords):
            assert isinstance(message, str)
            found.add(message)
    return found


def catalogue(language: Language) -> dict[str, str]:
    with (LOCALES / language.folder / "davylamp.po").open("rb") as file:
        return {str(entry.id): str(entry.string) for entry in read_po(file) if entry.id}


@pytest.mark.parametrize("language", list(Language))
def test_s24_every_message_has_its_text_in_each_language(language: Language) -> None:
    texts = catalogue(language)
    assert sorted(message for message in messages() if not texts.get(message)) == []
    assert sorted(set(texts) - messages()) == [], "translations of messages nobody asks for"


def test_chinese_texts_are_chinese_and_english_ones_are_not() -> None:
    han = re.compile(r"[一-鿿]")
    not_chinese = {id for id, text in catalogue(Language.ZH).items() if not han.search(text)}
    assert not_chinese == {"{shown} of {total}", "{level}: {reason}"}
    assert not [text for text in catalogue(Language.EN).values() if han.search(text)]


@pytest.mark.parametrize("language", list(Language))
def test_a_translation_has_the_same_places_as_its_message(language: Language) -> None:
    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    assert [id for id, text in catalogue(language).items() if places(id) != places(text)] == []


class Texts(HTMLParser):
    """Collects what a reader would see of a template: text, and the attributes that are read aloud or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag in ("script", "style")
        self.found += [value or "" for name, value in attrs if name in SPOKEN]

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if not self._script:
            self.found.append(data)


def literal(template: str) -> Iterator[str]:
    """Yield text of a template that did not go through a translation."""
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", template, flags=re.DOTALL)
    parser = Texts()
    parser.feed(bare)
    for text in parser.found:
        if re.search(r"[A-Za-z一-鿿]", text) and text.strip() not in NAMES:
            yield text.strip()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_anything_untranslated(path: Path) -> None:
    assert list(literal(path.read_text(encoding="utf-8"))) == []


def test_the_search_for_untranslated_text_finds_some() -> None:
    assert list(literal('<p title="Hi there">{{ _("a") }} now</p>')) == ["Hi there", "now"]


@pytest.mark.parametrize("script", sorted((PACKAGE / "console" / "static").glob("*.js")), ids=lambda path: path.name)
def test_no_script_says_anything_of_its_own(script: Path) -> None:
    shown = re.findall(r"textContent = [\"`']([^\"`'$]*[A-Za-z一-鿿]{2}[^\"`'$]*)[\"`']", script.read_text())
    assert shown == []


def test_a_reader_gets_the_language_they_picked_else_the_browsers_else_the_sites() -> None:
    assert choose("en", "zh-CN", Language.ZH) is Language.EN
    assert choose(None, "fr, zh-CN;q=0.8, en;q=0.5", Language.EN) is Language.ZH
    assert choose("xx", "fr", Language.EN) is Language.EN


def test_a_text_inside_a_text_is_in_the_same_language() -> None:
    inner = Bilingual("报警", "alarm")
    assert both("There is no {kind} {name}.", kind=inner, name="X-1") == Bilingual(
        "没有该报警：X-1。", "There is no alarm X-1."
    )
    assert translate(Language.ZH, "Acknowledge") == "确认"
