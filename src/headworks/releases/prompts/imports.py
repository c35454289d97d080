"""Prompts of other tools as `.prompty` files: what has no word here is named, never dropped in silence. Pure.

Dotprompt (Handlebars, Picoschema), promptfoo (texts, chats, configurations; Nunjucks), Langfuse's prompt JSON
(`{{variable}}`), OpenAI's messages (plain text), and Prompty itself, with a model that belongs into a route.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headworks.errors import InvalidRequest
from headworks.releases.prompts.importing.dotprompt import read_dotprompt
from headworks.releases.prompts.importing.drafts import Draft
from headworks.releases.prompts.importing.finishing import Imported, finished
from headworks.releases.prompts.importing.langfuse import read_langfuse
from headworks.releases.prompts.importing.openai_messages import read_openai
from headworks.releases.prompts.importing.promptfoo import read_promptfoo
from headworks.releases.prompts.importing.prompty import read_prompty

__all__ = ["FORMATS", "Imported", "import_prompts"]

_READERS: Mapping[str, Callable[[str, str], list[Draft]]] = {
    "dotprompt": read_dotprompt,
    "promptfoo": read_promptfoo,
    "langfuse": read_langfuse,
    "openai": read_openai,
    "prompty": read_prompty,
}
FORMATS = tuple(_READERS)


def import_prompts(text: str, source: str, name: str, question: str | None = None) -> list[Imported]:
    """All prompts of a file. `question` names the variable that holds what the user asks.

    Raises InvalidRequest for a file that is none of its format, WorkspaceInvalid where what comes out is no prompt.
    """
    if source not in _READERS:
        raise InvalidRequest(f"Nothing here reads `{source[:50]}`.", next_step=f"Known: {', '.join(FORMATS)}.")
    drafts = _READERS[source](text.removeprefix("\ufeff").replace("\r\n", "\n"), name)
    if not drafts:
        raise InvalidRequest(f"There is no prompt in this file of {source}.")
    return [finished(each, question) for each in drafts]
