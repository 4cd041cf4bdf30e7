"""Reading a TOML file into a frozen model, with every mistake in one message.

Each message names the file, the key and what to do, because the person at the keyboard repairs all of them at once
or comes back five times.
"""

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

SLUG = r"^[A-Za-z0-9_-]{1,64}$"
"""Ids that may stand in a topic, a path and a table without escaping (docs/facts: NATS and MQTT wildcards)."""

Model = TypeVar("Model", bound=BaseModel)

OUR_WORDS = {"extra_forbidden": "is not a known key", "missing": "is missing; write it"}
"""What is said in place of pydantic's own words, by its name of the mistake."""

CHINESE = {
    "extra_forbidden": "不是已知的键",
    "missing": "缺少，请写上",
    "float_parsing": "应为数字",
    "float_type": "应为数字",
    "finite_number": "应为有限的数字",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "bool_parsing": "应为 true 或 false",
    "bool_type": "应为 true 或 false",
    "string_type": "应为文本",
    "dict_type": "应为一个表",
    "model_type": "应为一个表",
    "tuple_type": "应为列表",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "应不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "应不大于 {le}",
    "literal_error": "应为 {expected} 之一",
    "enum": "应为 {expected} 之一",
}
"""The same in Chinese, and what pydantic says in its own words; of any other mistake those are all there is."""


class Mistake(str):
    """One line of a `ConfigError`: itself in English, and `zh` in Chinese."""

    zh: str

    def __new__(cls, en: str, zh: str) -> "Mistake":
        line = super().__new__(cls, en)
        line.zh = zh
        return line


def mistaken(en: str, zh: str) -> "ConfigError":
    """Return the error of one mistake."""
    return ConfigError([Mistake(en, zh)])


def unclear(en: str, zh: str) -> ValueError:
    """Return a refusal of one value in both languages, for whoever knows where it stands; `args[0]` is the mistake."""
    return ValueError(Mistake(en, zh))


def placed(where: str, line: str) -> str:
    """Return a mistake with its place before it, in Chinese as well where it is known in Chinese."""
    return Mistake(f"{where}: {line}", f"{where}：{line.zh}") if isinstance(line, Mistake) else f"{where}: {line}"


def in_chinese(line: str) -> str:
    """Return a mistake in Chinese; one that is known in English alone as it is."""
    return line.zh if isinstance(line, Mistake) else line


class ConfigError(Exception):
    """A file the person at the keyboard must mend; `mistakes` holds one line each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        count = len(self.mistakes)
        head = "1 mistake" if count == 1 else f"{count} mistakes"
        super().__init__("\n".join([f"{head}:", *(f"  {text}" for line in self.mistakes for text in _texts(line))]))


def _texts(line: str) -> Iterable[str]:
    return dict.fromkeys((line, in_chinese(line)))


class Section(BaseModel):
    """A part of a config or profile: frozen, and a key it does not know is a mistake, not a silence.

    A NaN is refused wherever a number is asked for: a limit of NaN would never be passed and nobody would notice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table in a TOML file; a missing or broken file is a `ConfigError` that names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); name an existing file"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: is not TOML: {error}"]) from None


def parse(model: type[Model], table: dict[str, Any], origin: Path | str) -> Model:
    """Return a table as a model, or raise one `ConfigError` with all its mistakes, each with file and key."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(mistakes_of(error, origin)) from None


def load(model: type[Model], path: Path) -> Model:
    """Return a TOML file as a model; all mistakes in one `ConfigError`."""
    return parse(model, read_toml(path), path)


def mistakes_of(error: ValidationError, origin: Path | str) -> list[str]:
    """Return a validation error as lines ``file: key: what is wrong``."""
    return [_line(item, str(origin)) for item in error.errors(include_url=False)]


def _line(item: Any, origin: str) -> str:
    places = [origin, *filter(None, [".".join(str(part) for part in item["loc"])])]
    said = item["msg"].removeprefix("Value error, ")  # pydantic's word for what our own checks say
    given = _shown(item)
    en = f"{': '.join(places)}: {OUR_WORDS.get(item['type'], said)}{given and f' (got {given})'}"
    if item["type"] not in CHINESE:
        return en
    zh = CHINESE[item["type"]].format(**item.get("ctx", {}))
    return Mistake(en, f"{'：'.join(places)}：{zh}{given and f'（现为 {given}）'}")


def _shown(item: Any) -> str:
    """Return what was given where it helps; never a whole table, and never what may be a secret."""
    given = item.get("input")
    secret = any(word in str(part).lower() for part in item["loc"] for word in ("password", "secret", "token"))
    if secret or not isinstance(given, str | int | float | bool) or item["type"] == "extra_forbidden":
        return ""
    return repr(given)


def secret_from(file: Path | None, variable: str | None, what: str) -> SecretStr | None:
    """Return a secret from a file or an environment variable; None where neither is named. It prints as ``***``."""
    if file is not None:
        try:
            return SecretStr(file.read_text(encoding="utf-8").strip())
        except OSError as error:
            raise ConfigError([f"{file}: {what} cannot be read ({error.strerror})"]) from None
        except UnicodeDecodeError:
            raise ConfigError([f"{file}: {what} is not UTF-8; save it as UTF-8"]) from None
    if variable is not None:
        found = os.environ.get(variable)
        if found is None:
            raise ConfigError([f"environment: {variable} is not set, and {what} comes from it"])
        return SecretStr(found)
    return None
