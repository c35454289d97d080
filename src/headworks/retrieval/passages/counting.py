"""How many tokens a text has: by the embedding model's own vocabulary, or about as many where that is not there."""

from __future__ import annotations

import re
from collections.abc import Callable

CountTokens = Callable[[str], int]

OfModel = Callable[[str], CountTokens | None]
"""What counts a word as a model does, by the model's name; None where its vocabulary is not here."""

# About one token of a word-piece vocabulary: up to eight letters, up to three digits, any other character alone.
TOKEN = re.compile(r"[a-zA-Z\u00c0-\u024f]{1,8}|[0-9]{1,3}|[^\sa-zA-Z0-9\u00c0-\u024f]")

_LONGEST_WORD = 64
_LONGEST_TOKEN = 16
"""Characters. A vocabulary may have one word for whatever it does not know, however long that is."""
_MOST_WORDS = 100_000
_PART = re.compile(rf"[^\W_]{{1,{_LONGEST_WORD}}}|[\W_]")


def estimated_tokens(text: str) -> int:
    """About how many word pieces a text has: cheap, and the same on every machine."""
    return len(TOKEN.findall(text))


class WordCounts:
    """Counts by a vocabulary that looks at each word by itself; each is looked up once.

    What has no space in 64 characters is counted in parts, so that no text takes more than linear time or memory.
    """

    def __init__(self, count_word: CountTokens) -> None:
        """`count_word` is asked for words and parts of at most 64 characters."""
        self._known = _Known(count_word)

    def __call__(self, text: str) -> int:
        """The number of tokens of a text, without those that a model puts around it."""
        known = self._known
        if len(known) > _MOST_WORDS:
            known.clear()
        return sum([known[word] if len(word) <= _LONGEST_WORD else _by_parts(known, word) for word in text.split()])


class _Known(dict[str, int]):
    def __init__(self, count_word: CountTokens) -> None:
        super().__init__()
        self._count_word = count_word

    def __missing__(self, word: str) -> int:
        number = max(self._count_word(word), len(word) // _LONGEST_TOKEN)
        self[word] = number
        return number


def _by_parts(known: _Known, word: str) -> int:
    return sum([known[part] for part in _PART.findall(word)])


class Vocabularies:
    """What counts tokens for each embedding model."""

    def __init__(self, of_model: OfModel | None = None) -> None:
        self._of_model = of_model
        self._known: dict[str, WordCounts] = {}

    def of(self, model: str) -> CountTokens:
        """By the model's vocabulary, which may be read from a file at the first use; without one, an estimate."""
        if model not in self._known:
            count_word = self._of_model(model) if self._of_model else None
            if count_word is None:
                return estimated_tokens  # it may be installed later
            self._known[model] = WordCounts(count_word)
        return self._known[model]
