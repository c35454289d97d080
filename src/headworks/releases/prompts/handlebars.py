"""Handlebars, as Dotprompt uses it, as Jinja: expressions, `if`, `unless`, `each`, `with`, comments, `json`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from headworks.errors import InvalidRequest

_TAG = re.compile(
    r"\\\{\{(?P<text>.*?)\}\}|\{\{\{\s*(?P<raw>.*?)\s*\}\}\}|\{\{!--.*?--\}\}|\{\{!.*?\}\}|\{\{~?\s*(?P<tag>.*?)\s*~?\}\}",
    re.DOTALL,
)
_PATH = re.compile(r"(?:\.\./)*(?:@?[A-Za-z_][\w-]*|this)(?:\.\w+)*")
_LOOPS = {"@index": "loop.index0", "@first": "loop.first", "@last": "loop.last"}


class _Writer:
    """Keeps what each open block makes of a bare name. `scopes`: the variable whose properties they are, or None."""

    def __init__(self, lose: Callable[[str], None]) -> None:
        self._lose = lose
        self._open: list[str] = []
        self._scopes: list[str | None] = [None]

    def tag(self, tag: str) -> Iterator[str]:
        """What a tag is in Jinja."""
        if tag in {"history", "else"} or tag == "^":
            yield "{{ history }}" if tag == "history" else "{% else %}"
        elif tag.startswith("#"):
            yield self._opened(*_two(tag[1:]))
        elif tag.startswith("/"):
            yield self._closed(tag[1:].strip())
        elif tag.startswith("else if "):
            yield f"{{% elif {self.value(tag.removeprefix('else if '))} %}}"
        elif tag.startswith((">", "media ", "section ")):
            self._lose(f"`{{{{{tag[:60]}}}}}`: there is no word for it here")
        elif tag.startswith("json "):
            yield f"{{{{ {self.value(_two(tag)[1].split(' ')[0])} | tojson }}}}"
        elif " " in tag:
            self._lose(f"`{{{{{tag[:60]}}}}}`: a helper that is not known here")
        else:
            yield f"{{{{ {self.value(tag)} }}}}"

    def value(self, path: str) -> str:
        """A path in the scope where it stands."""
        path = path.strip()
        if re.fullmatch(r"-?\d+(\.\d+)?|\"[^\"]*\"|'[^']*'|true|false", path):
            return path
        if not _PATH.fullmatch(path):
            raise InvalidRequest(f"`{{{{{path[:60]}}}}}` is no expression that is read here.")
        if path in _LOOPS:
            return _LOOPS[path]
        if path.startswith("@root."):
            return path.removeprefix("@root.")
        depth = path.count("../")
        path = path.replace("../", "")
        scope = self._scopes[max(0, len(self._scopes) - 1 - depth)]
        if path == "this":
            return scope or "this"
        path = path.removeprefix("this.")
        return path if scope is None else f"{scope}.{path}"

    def finish(self) -> None:
        """Raise InvalidRequest for a block that nobody closed."""
        if self._open:
            raise InvalidRequest(f"`{{{{#{self._open[-1]}}}}}` is not closed.")

    def _opened(self, block: str, rest: str) -> str:
        if block not in {"if", "unless", "each", "with"}:
            raise InvalidRequest(f"`{{{{#{block[:40]}}}}}` is a helper that is not known here.")
        value = self.value(rest)
        self._open.append(block)
        if block == "each":
            name = f"item{len(self._open)}"
            self._scopes.append(name)
            return f"{{% for {name} in {value} %}}"
        if block == "with":
            self._scopes.append(value)
            return f"{{% if {value} %}}"
        return f"{{% if {'not ' if block == 'unless' else ''}{value} %}}"

    def _closed(self, block: str) -> str:
        if not self._open or self._open.pop() != block:
            raise InvalidRequest(f"`{{{{/{block[:40]}}}}}` closes what is not open.")
        if block in {"each", "with"}:
            self._scopes.pop()
        return "{% endfor %}" if block == "each" else "{% endif %}"


def as_jinja(text: str, lose: Callable[[str], None]) -> str:
    """The same template in Jinja; `lose` is told of what has no word there. Raises InvalidRequest."""
    writer = _Writer(lose)
    out, end = [], 0
    for found in _TAG.finditer(text):
        out.append(_guarded(text[end : found.start()]))
        if found["text"] is not None:
            out.append(f"{{{{ '{{{{' }}}}{found['text']}{{{{ '}}}}' }}}}")  # a backslash before it: no template
        tag = found["tag"] if found["tag"] is not None else found["raw"]
        if tag is not None:
            out += writer.tag(tag)
        end = found.end()
    writer.finish()
    return "".join([*out, _guarded(text[end:])])


def _guarded(text: str) -> str:
    """What is text in Handlebars and would be a template in Jinja."""
    return re.sub(r"\{[%#]|[%#]\}", lambda found: f'{{{{ "{found[0]}" }}}}', text)


def _two(tag: str) -> tuple[str, str]:
    first, _, rest = tag.strip().partition(" ")
    return first, rest
