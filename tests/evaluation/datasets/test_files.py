"""Datasets as files: what is written is read, and what is wrong is named with its line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.datasets.files import as_json, dataset_digest, example_digest, read_dataset, write_dataset
from headworks.types.evaluation import Example, ToolUse
from headworks.types.models import Message

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, max_size=3)
examples = st.builds(
    Example,
    id=names,
    question=texts.filter(str.strip),
    inputs=objects,
    history=st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), texts), max_size=2).map(tuple),
    reference=values,
    context=st.lists(texts.filter(bool), max_size=2).map(tuple),
    expected_tools=st.lists(st.builds(ToolUse, names, objects), max_size=2).map(tuple),
    cluster=st.none() | names,
    tags=st.dictionaries(names, names, max_size=3),
    failure_modes=st.lists(names, max_size=2).map(tuple),
    provenance=objects,
    weight=st.sampled_from([1.0, 0.5, 3.0]),
    split=st.sampled_from(["train", "dev", "test"]),
)


@given(st.lists(examples, min_size=1, max_size=5, unique_by=lambda each: each.id))
def test_what_is_written_is_read(written: list[Example]) -> None:
    read = read_dataset("golden/all.jsonl", write_dataset(written))
    assert read == written
    assert dataset_digest(read) == dataset_digest(reversed(written))


@given(examples, examples)
def test_equal_digests_are_equal_examples(one: Example, other: Example) -> None:
    assert (example_digest(one) == example_digest(other)) == (as_json(one) == as_json(other))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON at column 2"),
        ("[]", "not a JSON object"),
        ('{"question": "Why?"}', "`id` is no name"),
        ('{"id": "one"}', "nothing is asked"),
        ('{"id": "one", "question": "", "inputs": {}, "history": []}', "nothing is asked"),
        ('{"id": "one", "qustion": "Why?"}', "`qustion` is unknown. Did you mean `question`"),
        ('{"id": "one", "question": "Why?", "question": "How?"}', "`question` stands twice"),
        ('{"id": "one", "question": "Why?", "split": "tset"}', "Did you mean `test`"),
        ('{"id": "one", "question": "Why?", "weight": 0}', "`weight` is 0"),
        ('{"id": "one", "question": "Why?", "weight": NaN}', "NaN is no JSON"),
        ('{"id": "one", "question": "Why?", "tags": {"risk": 3}}', "`tags` must be an object of texts"),
        ('{"id": "one", "question": "Why?", "history": [{"role": "usr", "content": ""}]}', "`history[0]` is no turn"),
        ('{"id": "one", "question": "Why?", "expected_tools": [{"tool": "x"}]}', "`expected_tools[0]` names no tool"),
        ('{"id": "one", "question": "Why?", "reference": 9007199254740993}', "no canonical form"),
        ('{"id": "first", "question": "Why?"}', "the id `first` is also in line 1"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, said: str) -> None:
    content = b'{"id": "first", "question": "What?"}\n\n' + line.encode(errors="surrogateescape")
    with pytest.raises(WorkspaceInvalid) as raised:
        read_dataset("golden/all.jsonl", content)
    told = f"{raised.value.message} {raised.value.next_step}"
    assert told.startswith("golden/all.jsonl:3: ")
    assert said in told


def test_a_file_without_examples_is_refused() -> None:
    with pytest.raises(WorkspaceInvalid, match="there is no example in it"):
        read_dataset("golden/all.jsonl", b"\n \n")


def test_a_line_has_no_more_than_what_is_unusual() -> None:
    assert json.loads(write_dataset([Example("one", "Why?")])) == {"id": "one", "question": "Why?"}
