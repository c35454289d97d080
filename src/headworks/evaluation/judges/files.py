"""Judges as files: `judges/<name>/judge.yaml` and its prompt beside it. Complaints start with `file:line:`.

    model: openai/gpt-5-mini
    prompt: judge.prompty
    votes: 3
    parameters: {temperature: 0, max_tokens: 800}
    criteria:
      names_clause: The answer names the clause of the guideline that it applies.
      nothing_made_up: Every fact of the answer stands in the case notes or in the guideline.

Each criterion is either met or not. A judge of `kind: pairwise` says which of two answers is better instead, by
`question: …`, and is asked in both orders. The prompt is a `.prompty` file; what it may use as inputs is `INPUTS`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files as resources
from typing import Any, Literal, cast

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.digests import digest_of
from headworks.releases.service import parse_prompt
from headworks.strict_yaml import Section, decode, nearest, read_yaml
from headworks.types.ids import Digest
from headworks.types.workspace import PromptFile

JudgeKind = Literal["rubric", "pairwise"]
INPUTS: Mapping[JudgeKind, frozenset[str]] = {
    "rubric": frozenset({"question", "history", "inputs", "answer", "reference", "context", "passages"}),
    "pairwise": frozenset({"question", "history", "inputs", "first", "second", "reference", "context", "passages"}),
}
"""What a prompt may use, by the kind of its judge; all are texts, marked as data."""
BUILT_IN = "builtin/"
"""Before the names of the rubrics that Headworks brings along. How well a model judges by them is not measured."""
FOLDER = "judges/"
FILE = "judge.yaml"
ANSWERING = 1
"""Raised when judges come to be asked or read differently: it is in their digests."""
_MOST_CRITERIA = 30
_MOST_VOTES = 15
_OURS = ("model", "messages", "stream", "n", "response_format", "tools")


@dataclass(frozen=True, slots=True)
class JudgeSpec:
    """A judge as its files say it; `model` is empty where the suite must name it.

    `criteria` are questions by name; a pairwise judge has one, named `better`. `structured`: whether the model is asked
    for JSON by schema (its answer is read by the schema in any case).
    """

    name: str
    kind: JudgeKind
    model: str
    prompt: PromptFile
    criteria: Mapping[str, str]
    votes: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    structured: bool = True

    @property
    def digest(self) -> Digest:
        """Over all that shapes its verdicts; not over its name."""
        inputs = sorted(each.name for each in self.prompt.inputs)
        said: dict[str, Any] = {
            "kind": self.kind,
            "model": self.model,
            "template": self.prompt.template,
            "inputs": inputs,
        }
        said |= {"criteria": dict(self.criteria), "votes": self.votes, "parameters": dict(self.parameters)}
        return digest_of({"judge": ANSWERING, "structured": self.structured, **said})

    def asked_of(self, model: str) -> JudgeSpec:
        """The same judge with another model: another digest, and a calibration of its own."""
        return replace(self, model=model)


def read_judges(files: Mapping[str, bytes], folder: str = "") -> dict[str, JudgeSpec]:
    """All judges among the files of a feature's folder; `folder` is put before their paths in complaints."""
    paths = sorted(path for path in files if path.startswith(FOLDER) and posixpath.basename(path) == FILE)
    judges = {}
    for path in paths:
        name = posixpath.dirname(path).removeprefix(FOLDER)
        if not name or "/" in name:
            raise WorkspaceInvalid(f"{folder}{path}:1: a judge stands in a folder of its own: {FOLDER}<name>/{FILE}.")
        judges[name] = read_judge(name, files, path, folder)
    return judges


def built_in() -> tuple[str, ...]:
    """The names of the rubrics that Headworks brings along."""
    inside = resources("headworks.evaluation").joinpath("rubrics")
    return tuple(sorted(BUILT_IN + each.name for each in inside.iterdir() if each.joinpath(FILE).is_file()))


@lru_cache(maxsize=32)
def read_built_in(name: str) -> JudgeSpec:
    """One of them, without a model. Raises KeyError for a name that is none."""
    if name not in built_in():
        raise KeyError(name)
    inside = resources("headworks.evaluation").joinpath("rubrics", name.removeprefix(BUILT_IN))
    files = {each.name: each.read_bytes() for each in inside.iterdir() if each.is_file()}
    return read_judge(name, files, FILE, f"{name}/")


def read_judge(name: str, files: Mapping[str, bytes], path: str, folder: str = "") -> JudgeSpec:
    """One judge from its file and the prompt beside it. Raises WorkspaceInvalid, with file and line."""
    section = read_yaml(folder + path, decode(folder + path, files[path]))
    section.text("description", "")
    kind = cast("JudgeKind", section.choice("kind", ("rubric", "pairwise"), "rubric"))
    spec = JudgeSpec(
        name,
        kind,
        read_model(section, required=False),
        _prompt(section, kind, files, posixpath.dirname(path), folder),
        _criteria(section) if kind == "rubric" else {"better": section.text("question")},
        _votes(section),
        read_parameters(section),
        section.flag("structured", default=True),
    )
    section.finish()
    return spec


def read_model(section: Section, *, required: bool) -> str:
    """`model: provider/model`, or empty."""
    model = section.text("model", None if required else "")
    if model and not all(model.partition("/")):
        section.complain(
            "model",
            f"`model` is `{model}`, not `provider/model`.",
            "A judge is calibrated as one model, and a route may ask others: name its target.",
        )
    return model


def _votes(section: Section) -> int:
    votes = section.whole("votes", 1, 1, _MOST_VOTES)
    if votes % 2 == 0:
        section.complain("votes", f"`votes` is {votes}; an even number can end in a tie.", f"Say {votes + 1}.")
    return votes


def read_parameters(section: Section) -> dict[str, Any]:
    """`parameters` of the model; temperature 0 unless said."""
    if not section.has("parameters"):
        return {"temperature": 0}
    given = section.json("parameters")
    if not isinstance(given, dict):
        section.complain("parameters", "`parameters` must be a mapping.", "Like {temperature: 0, max_tokens: 800}.")
    for key in given:
        if key in _OURS:
            section.complain("parameters", f"`parameters.{key}` is not the judge's to set.", "Remove it.")
    return given


def _criteria(section: Section) -> dict[str, str]:
    inner = section.section("criteria")
    names = [] if inner is None else inner.keys()
    if inner is None or not names:
        section.complain(
            "criteria" if section.has("criteria") else None,
            "a rubric has at least one criterion.",
            "Like criteria: {names_clause: The answer names the clause that it applies.}",
        )
    if len(names) > _MOST_CRITERIA:
        section.complain("criteria", f"`criteria` has more than {_MOST_CRITERIA} entries.")
    found = {}
    for name in names:
        if not (name.isascii() and name.replace("_", "a").isalnum() and name.islower()):
            inner.complain(name, f"`{name}` is no name of a criterion.", "Small letters, digits and `_`.")
        found[name] = " ".join(inner.text(name).split())
        if not found[name]:
            inner.complain(name, f"`criteria.{name}` asks nothing.")
    return found


def _prompt(section: Section, kind: JudgeKind, files: Mapping[str, bytes], inside: str, folder: str) -> PromptFile:
    name = section.text("prompt", "judge.prompty")
    path = posixpath.normpath(posixpath.join(inside, name))
    if path not in files or (inside and not path.startswith(inside + "/")):
        section.complain("prompt" if section.has("prompt") else None, f"there is no `{name}` beside it.")
    prompt = parse_prompt(folder + path, decode(folder + path, files[path]))
    for each in prompt.inputs:
        if each.name not in INPUTS[kind]:
            hint = nearest(each.name, INPUTS[kind])
            raise WorkspaceInvalid(f"{folder}{path}:2: a {kind} judge has no input `{each.name}`.", next_step=hint)
    wanted = ("answer",) if kind == "rubric" else ("first", "second")
    for need in wanted:
        if need not in {each.name for each in prompt.inputs}:
            raise WorkspaceInvalid(
                f"{folder}{path}:2: the prompt of a {kind} judge needs the input `{need}`.",
                next_step=f"Add `{need}: {{kind: string}}` to its inputs, and use it.",
            )
    return prompt
