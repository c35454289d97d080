"""The `chunking` of a collection's file: how documents are cut, in which language, and how much is shown of them."""

from __future__ import annotations

from collections.abc import Collection

from headworks.errors import WorkspaceInvalid
from headworks.strict_yaml import Section, nearest
from headworks.types.workspace import LANGUAGES, ChunkingSpec, CollectionSpec

_FEWEST_TOKENS, _MOST_TOKENS = 40, 240
_MOST_WITH_CONTEXT, _USUAL_WITH_CONTEXT = 160, 150
"""The embedding model reads 256 tokens: title, headings and what a model wrote take up to 90 of them."""


def read_chunking(top: Section) -> ChunkingSpec:
    """The settings of one collection. Raises WorkspaceInvalid with file and line."""
    block = top.section("chunking")
    if block is None:
        return ChunkingSpec()
    context = block.section("context")
    model = context.text("model") if context else ""
    if context:
        context.finish()
    usual = ChunkingSpec()
    spec = ChunkingSpec(
        tokens=block.whole(
            "tokens",
            _USUAL_WITH_CONTEXT if model else usual.tokens,
            _FEWEST_TOKENS,
            _MOST_WITH_CONTEXT if model else _MOST_TOKENS,
        ),
        overlap=block.whole("overlap", usual.overlap, 0, 5),
        has_whole_tables=block.choice("tables", ("rows", "whole"), "rows") == "whole",
        has_headers=block.flag("contextual_headers", default=usual.has_headers),
        language=block.choice("language", ("auto", *LANGUAGES), usual.language),
        context_model=model,
        parent_tokens=_parent_tokens(block),
        neighbours=block.whole("neighbours", usual.neighbours, 0, 3),
        passages_tokens=block.whole("passages_tokens", usual.passages_tokens, 500, 100_000),
    )
    if spec.parent_tokens and spec.parent_tokens < spec.tokens:
        block.complain("parent_tokens", "a parent has at least as many tokens as a chunk, or is 0: none is shown.")
    if spec.parent_tokens and spec.neighbours:
        block.complain("neighbours", "`neighbours` and `parent_tokens` are two ways to show more: choose one.")
    block.finish()
    return spec


def _parent_tokens(block: Section) -> int:
    found = block.whole("parent_tokens", 0, 0, 4_000)
    if 0 < found < _FEWEST_TOKENS:
        block.complain("parent_tokens", f"`parent_tokens` is {found}; it must be 0, or at least {_FEWEST_TOKENS}.")
    return found


def check_context_models(
    collections: Collection[CollectionSpec], routes: Collection[str], providers: Collection[str]
) -> None:
    """Whether each model that is to write context is a route of the workspace, or one of a provider that is known."""
    for each in collections:
        model = each.chunking.context_model
        provider, slash, _ = model.partition("/")
        if model and (provider not in providers if slash else model not in routes):
            raise WorkspaceInvalid(
                f"{each.where}: `chunking.context.model` names `{model}`, which is no route and no `provider/model`.",
                next_step=nearest(provider, providers) if slash else nearest(model, routes),
            )
