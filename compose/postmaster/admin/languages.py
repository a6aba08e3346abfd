"""The catalogue: every text of the pages in every language, from `texts/*.yaml`.

A key is `FILE.NAME`; its texts stand side by side, so that none is forgotten, and `{name}` in them
takes a value. What the machine says of mail is in English; `sentences.yaml` has it in the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from postmaster.yamlfiles import read_yaml

HERE = Path(__file__).parent / "texts"
SENTENCES = Path(__file__).parent / "sentences.yaml"

# By the tag that a browser asks for, primary subtag only: what people call it, and its tag in HTML.
LANGUAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"en": ("English", "en"), "zh": ("中文", "zh-Hans")}
)
DEFAULT = "en"
MOST_WISHES = 20  # of a browser's list; the rest is not read


@dataclass(frozen=True)
class Catalogue:
    """Texts by key, and the machine's sentences as it says them, each then by language."""

    texts: Mapping[str, Mapping[str, str]]
    sentences: Mapping[str, Mapping[str, str]]

    def text(self, language: str, key: str, **values: object) -> str:
        """Return a text with its values. Raises KeyError for what is in no file."""
        return self.texts[key][language].format(**values)

    def sentence(self, language: str, words: str) -> str | None:
        """Return what the machine says in another language, None when that is not known."""
        return self.sentences.get(words, {}).get(language)


def read_catalogue(folder: Path = HERE) -> Catalogue:
    """Read all files of a folder, and the machine's sentences."""
    texts: dict[str, Mapping[str, str]] = {}
    for path in sorted(folder.glob("*.yaml")):
        texts |= {f"{path.stem}.{name}": text for name, text in read_yaml(path).items()}
    return Catalogue(MappingProxyType(texts), MappingProxyType(read_yaml(SENTENCES)))


def choose_language(wanted: str, accepted: str) -> str:
    """Return the language for what a person has chosen, or the browser asks for.

    `accepted` is the header Accept-Language (RFC 9110, 12.5.4).
    """
    if wanted in LANGUAGES:
        return wanted
    wishes = []
    for number, part in enumerate(accepted.split(",")[:MOST_WISHES]):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        if primary in LANGUAGES:
            wishes.append((-_quality(parameter), number, primary))
    return min(wishes)[2] if wishes and min(wishes)[0] < 0 else DEFAULT


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
