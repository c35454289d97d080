"""Golden queries against a running server: what is measured, what is compared, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from running_server import Server, eventually

from headworks.evaluation.datasets.files import read_dataset

DOCUMENTS = {
    "leave.md": "# Leave\n\n## Parental leave\n\nParental leave is twelve weeks, paid in full.\n\n"
    "## Sick leave\n\nCall the ward before nine in the morning.\n",
    "pay.md": "# Pay\n\nSalaries are paid on the 25th of each month.\n\n"
    "## Expenses\n\nExpenses are paid within a week.\n",
    "canteen.md": "# Canteen\n\nThe canteen opens at noon and serves soup.\n",
    "parking.md": "# Parking\n\nA permit for the car park costs ten francs a month.\n",
}
BOARD = "# Merger\n\nThe merger with Zephyr closes in May.\n"
GOLDEN = (
    {"id": "leave", "query": "how many weeks is parental leave", "relevant": ["leave.md"], "tags": ["people"]},
    {"id": "pay", "query": "when are salaries paid", "relevant": ["pay.md"], "tags": ["people", "money"]},
    {"id": "permit", "query": "permit for the car park", "relevant": ["parking.md"], "tags": ["money"]},
    {
        "id": "sick",
        "query": "whom to call when sick",
        "relevant": [{"document": "leave.md", "quote": "the ward before  nine", "grade": 2}],
    },
    {
        "id": "expenses",
        "query": "expenses within a week",
        "relevant": [{"document": "pay.md", "section": ["Pay", "Expenses"]}],
    },
)


@dataclass(frozen=True)
class Place:
    """A workspace with golden queries, and commands against a tenant of its own."""

    cli: Any
    workspace: Path

    def write(self, *rows: Any, collection: str = "handbook") -> Path:
        file = self.workspace / "collections" / f"{collection}.golden.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return file

    def __call__(self, *words: str, **more: Any) -> Any:
        return self.cli("retrieval", "eval", "handbook", "--workspace", str(self.workspace), *words, **more)

    def json(self, *words: str, **more: Any) -> Any:
        return self.cli.json("retrieval", "eval", "handbook", "--workspace", str(self.workspace), *words, **more)

    def refused(self, *words: str, **more: Any) -> str:
        done = self(*words, check=False, **more)
        assert done.returncode == 1, done
        assert done.stdout == ""
        return str(done.stderr)


@pytest.fixture(scope="module")
def tenant(server: Server) -> Server:
    """Two collections of one tenant, worked on once for all tests here."""
    own = server.as_tenant("golden")
    readers = "readers: [everyone]\n"
    own.apply({"collections/handbook.yaml": readers, "collections/short.yaml": readers})
    for path, text in DOCUMENTS.items():
        own.hand_in("handbook", path, text)
    own.hand_in("handbook", "board/merger.md", BOARD, readers="administrators")
    own.hand_in("short", "pay.md", DOCUMENTS["pay.md"])
    assert own.worked_on("handbook")["failed"] == []
    assert own.worked_on("short")["failed"] == []
    return own


@pytest.fixture(scope="module")
def vectors(tenant: Server) -> None:
    """They are there for all chunks; skipped where the built-in model is not installed."""

    def look() -> str:
        found = tenant.must("POST", "/api/search", {"collection": "handbook", "query": "pay"})
        return "there" if found["ranking"] == "hybrid" and not found["notice"] else str(found["notice"])

    state = eventually(lambda: next((each for each in ("there", "not installed") if each in look()), None), 60)
    if state != "there":
        pytest.skip("builtin/minilm is not installed here")


@pytest.fixture
def place(cli: Any, tenant: Server, tmp_path: Path) -> Place:
    made = Place(replace(cli, server=tenant), tmp_path / "workspace")
    made.write(*GOLDEN)
    return made


def test_all_measures_come_with_their_intervals(place: Place) -> None:
    found = place.json("--with", "keywords")
    assert (found["collection"], found["queries"], found["k"]) == ("handbook", 5, 10)
    (only,) = found["configurations"]
    assert only["settings"] == {"collection": "handbook", "ranking": "keywords", "depth": 100}
    assert list(only["measures"]) == ["ndcg@10", "recall@10", "mrr@10", "hit_rate@10"]
    for each in only["measures"].values():
        assert each["low"] <= each["mean"] <= each["high"]
        assert each["low"] < each["high"], "five queries never say all"
    assert only["measures"]["hit_rate@10"]["mean"] == 1
    assert "difference" not in found
    assert {tag: each["queries"] for tag, each in found["tags"].items()} == {"money": 2, "people": 2}


@pytest.mark.usefixtures("vectors")
def test_two_legs_are_compared_query_by_query(place: Place) -> None:
    found = place.json("--against", "keywords")
    assert [each["name"] for each in found["configurations"]] == ["hybrid", "keywords"]
    first, second = (each["measures"]["ndcg@10"]["mean"] for each in found["configurations"])
    difference = found["difference"]["ndcg@10"]
    assert difference["mean"] == pytest.approx(first - second, abs=1e-5)
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert difference["better"] + difference["worse"] + difference["same"] == 5
    shown = place("--against", "keywords").stdout
    assert "nDCG@10" in shown
    assert "hybrid − keywords" in shown
    assert "better, worse, same" in shown


def test_a_second_collection_is_compared_and_what_is_missing_there_is_not_found(place: Place) -> None:
    words = ("--with", "keywords", "--against", "collection=short")
    said = place.refused(*words)
    assert "handbook.golden.jsonl:1: there is no document `leave.md` in `short` that this key may read." in said
    found = place.json(*words, "--allow-missing")
    assert [each["name"] for each in found["configurations"]] == [
        "keywords collection=handbook",
        "keywords collection=short",
    ]
    assert found["configurations"][1]["measures"]["hit_rate@10"]["mean"] == pytest.approx(0.4)
    assert found["difference"]["hit_rate@10"]["better"] == 3


def test_the_worst_queries_are_shown_with_what_was_found_instead(place: Place) -> None:
    place.write(*GOLDEN, {"query": "soup at noon", "relevant": ["parking.md"], "id": "wrong"})
    found = place.json("--with", "ranking=keywords", "--worst", "1")
    (row,) = found["worst"]
    assert (row["id"], row["line"]) == ("wrong", 6)
    (run,) = row["runs"]
    assert run["first_relevant"] is None
    assert run["results"][0]["path"] == "canteen.md"
    shown = place("--with", "keywords").stdout
    assert "Served worst by keywords" in shown
    assert "soup at noon" in shown
    assert "looked for parking.md: nothing of it was found" in shown
    assert "canteen.md · Canteen" in shown
    assert "Served worst" not in place("--with", "keywords", "--worst", "0").stdout


def test_queries_and_results_are_exported_as_json_lines(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    done = place("--with", "keywords", "--against", "depth=50", "--export", str(file))
    assert "5 queries with their results are in" in done.stderr
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["id"] for row in rows] == [each["id"] for each in GOLDEN]
    sick = rows[3]
    assert sick["collection"] == "handbook"
    assert sick["relevant"] == [{"document": "leave.md", "grade": 2, "quote": "the ward before  nine"}]
    assert [run["configuration"] for run in sick["runs"]] == ["keywords depth=100", "keywords depth=50"]
    run = sick["runs"][1]
    assert run.keys() == {"configuration", "settings", "measures", "first_relevant", "results"}
    best = run["results"][run["first_relevant"] - 1]
    assert best.keys() == {
        "place", "document", "version", "path", "title", "section", "start", "end", "score", "grade",
    }  # fmt: skip
    assert (best["path"], best["grade"]) == ("leave.md", 2)
    assert "ward" not in json.dumps(sick["runs"]), "no text of documents"
    assert file.stat().st_mode & 0o077 == 0
    assert "can't be written" in place.refused("--export", str(tmp_path / "no" / "out.jsonl"))


def test_only_what_the_key_may_read_is_found(place: Place, tenant: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({"query": "the merger with Zephyr", "relevant": ["board/merger.md"]})
    assert place.json("--with", "keywords")["configurations"][0]["measures"]["recall@10"]["mean"] == 1
    jane = tenant.key_of("jane")
    unreadable = place.refused("--with", "keywords", key=jane)
    assert ":1: there is no document `board/merger.md` in `handbook` that this key may read." in unreadable
    hidden = place.json("--with", "keywords", "--allow-missing", key=jane)
    assert hidden["configurations"][0]["measures"]["recall@10"]["mean"] == 0
    assert not any("merger" in json.dumps(row["runs"]) for row in hidden["worst"])


def test_a_query_is_asked_as_somebody_else_with_a_key_of_theirs(
    place: Place, tenant: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(
        {"query": "salaries", "relevant": ["pay.md"], "as": "bob"}, {"query": "soup", "relevant": ["canteen.md"]}
    )
    said = place.refused("--with", "keywords")
    assert "handbook.golden.jsonl:1: asked as `bob`, and there is no key for that." in said
    assert "--key-for bob=VARIABLE" in said
    monkeypatch.setenv("BOBS_KEY", tenant.key_of("bob"))
    found = place.json("--with", "keywords", "--key-for", "bob=BOBS_KEY")
    assert found["configurations"][0]["measures"]["hit_rate@10"]["mean"] == 1
    monkeypatch.setenv("BOBS_KEY", tenant.admin_key)
    assert "The key in BOBS_KEY is one of `admin`, not of `bob`." in place.refused("--key-for", "bob=BOBS_KEY")
    assert "is not NAME=VARIABLE" in place.refused("--key-for", "bob")


def test_only_queries_of_a_tag_are_asked(place: Place) -> None:
    assert place.json("--with", "keywords", "--tag", "money")["queries"] == 2
    assert "has the tag `mony`. Tags there: money." in place.refused("--tag", "mony")


def test_a_mean_below_the_bar_is_exit_status_one(place: Place) -> None:
    assert place("--with", "keywords", "--at-least", "hit_rate=0.9").returncode == 0
    place.write({"query": "soup at noon", "relevant": ["parking.md"]})
    done = place("--with", "keywords", "--at-least", "ndcg=0.5", "--at-least", "mrr=0", check=False)
    assert done.returncode == 1
    assert done.stderr == "below: ndcg@10 is 0.0000, not at least 0.5.\n"
    assert "nDCG@10" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--with", "speed=9"), "speed"),
        (("--with", "ranking=best"), "`ranking` is 'best'. One of hybrid, keywords, vectors."),
        (("--with", "depth=0"), "`depth` is 0, not 1 to 100 passages."),
        (("--with", "depth=5"), "Cut off at 10, but only 5 passages are asked for. Give `--k 5`."),
        (("--with", "k=5"), "'k=5' is no setting of a search."),
        (("--with", "depth=5", "--with", "depth=6"), "`depth` is given twice."),
        (("--against", "hybrid"), "Both configurations are the same: hybrid."),
        (("--against", "collection=nowhere"), "There is no collection `nowhere` that you may read."),
        (("--at-least", "speed=1"), "'speed=1' names no measure."),
        (("--at-least", "ndcg=2"), "the value is not between 0 and 1"),
        (("--golden", "no.jsonl"), "no.jsonl can't be read: No such file or directory."),
    ],
)
def test_what_can_not_be_measured_is_said(place: Place, words: tuple[str, ...], message: str) -> None:
    assert message in place.refused(*words)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", ":2: not JSON at column"),
        ({"query": "x"}, ":2: `relevant` must list at least one document."),
        ({"query": "When are  Salaries paid", "relevant": ["pay.md"]}, ":2: the query is also in line 1."),
        ({"query": "x", "relevant": ["nothing.md"]}, ":2: there is no document `nothing.md`"),
        (
            {"query": "x", "relevant": [{"document": "pay.md", "quote": "gold"}]},
            ":2: the quote “gold” is not in `pay.md`.",
        ),
        (
            {"query": "x", "relevant": [{"document": "pay.md", "section": "Gold"}]},
            ":2: `pay.md` has no section Gold.",
        ),
    ],
)
def test_a_wrong_line_is_named_with_its_file(place: Place, row: Any, message: str) -> None:
    file = place.write(GOLDEN[1], row)
    assert f"error: {file}{message}" in place.refused()


def test_an_empty_file_is_refused(place: Place) -> None:
    file = place.write("", "  ")
    assert f"error: {file}:1: there is no query in it." in place.refused()


def test_judgements_of_a_test_collection_become_golden_queries(place: Place, tmp_path: Path) -> None:
    qrels, queries = tmp_path / "qrels.txt", tmp_path / "topics.tsv"
    qrels.write_text("1 0 leave 2\n1 0 pay 0\n2 0 canteen 1\n3 0 pay 0\n")
    queries.write_text("1\tparental leave\n2\tsoup at noon\n3\tnothing\n4\tunjudged\n")
    words = ("retrieval", "golden", "import", "handbook", "--qrels", str(qrels), "--queries", str(queries))
    words += ("--path", "{id}.md", "--workspace", str(place.workspace))
    done = place.cli(*words, check=False)
    assert done.returncode == 1
    assert "handbook.golden.jsonl is there. Replace it with --force." in done.stderr
    made = place.cli.json(*words, "--force")
    assert (made["queries"], made["unjudged"], made["irrelevant"]) == (2, 1, 1)
    rows = [json.loads(line) for line in Path(made["golden"]).read_text().splitlines()]
    assert rows[0] == {
        "id": "1",
        "query": "parental leave",
        "relevant": [{"document": "leave.md", "grade": 2}, {"document": "pay.md", "grade": 0}],
    }
    assert place.json("--with", "keywords")["configurations"][0]["measures"]["hit_rate@10"]["mean"] == 1
    said = place.cli(*words, "--force")
    assert said.stdout.startswith("2 golden queries are in ")
    assert said.stderr == "left out: 1 without a judgement, 1 without a relevant document\n"


def test_golden_queries_become_a_dataset_that_an_experiment_takes(place: Place, tmp_path: Path) -> None:
    place.write(
        {"id": "leave", "query": "parental leave", "relevant": [{"document": "leave.md", "quote": "16 weeks"}]},
        {
            "id": "pay", "query": "when is pay", "tags": ["people"], "as": "jane", "cluster": "money",
            "relevant": [
                {"document": "pay.md", "section": ["Pay", "Dates"], "grade": 3},
                {"document": "a", "grade": 0},
            ],
        },
    )  # fmt: skip
    file = tmp_path / "golden.jsonl"
    words = ("retrieval", "golden", "export", "handbook", str(file), "--workspace", str(place.workspace))
    said = place.cli(*words)
    assert said.stdout == f"2 examples are in {file}.\n"
    assert [each.split(":")[0] for each in said.stderr.splitlines()] == ["lost"] * 4
    leave, pay = read_dataset(str(file), file.read_bytes())
    assert (leave.reference, leave.context) == ({"documents": ["leave.md"]}, ("16 weeks",))
    assert (pay.reference, pay.tags, pay.cluster) == (
        {"documents": ["pay.md#Dates"]}, {"people": "yes", "as": "jane"}, "money",
    )  # fmt: skip
    assert "is there. Replace it with --force." in place.cli(*words, check=False).stderr
    made = place.cli.json(*words, "--force", "--tag", "people")
    assert (made["examples"], len(made["losses"])) == (1, 4)


def test_a_wrong_golden_file_stops_an_apply(place: Place) -> None:
    (place.workspace / "collections" / "handbook.yaml").write_text("readers: [everyone]\n")
    (place.workspace / "collections" / "short.yaml").write_text("readers: [everyone]\n")
    place.cli("apply", str(place.workspace))
    place.write(GOLDEN[0], {"query": "x", "relevant": []})
    done = place.cli("apply", str(place.workspace), check=False)
    assert done.returncode == 1
    assert "collections/handbook.golden.jsonl:2: `relevant` must list at least one document." in done.stderr


def test_the_weight_of_keywords_is_tuned_and_nothing_is_written(place: Place) -> None:
    few = place.cli("retrieval", "tune", "handbook", "--workspace", str(place.workspace), check=False)
    assert few.returncode == 1
    assert "too few to choose by" in few.stderr
    rows = [{**GOLDEN[n % 3], "id": f"q{n}", "query": f"{GOLDEN[n % 3]['query']} {n}"} for n in range(10)]
    file = place.write(*rows)
    before = sorted(file.parent.iterdir()), file.read_bytes()
    words = ("retrieval", "tune", "handbook", "--workspace", str(place.workspace))
    found = place.cli.json(*words)
    assert len(found["ndcg"]) == 12
    assert found["queries"] == 10
    assert not found["is_better"], "everything is found already"
    said = place.cli(*words).stdout
    assert "as it is" in said
    assert "can't be told from chance" in said
    assert (sorted(file.parent.iterdir()), file.read_bytes()) == before


def test_settings_of_the_search_are_compared_like_any_other(place: Place) -> None:
    said = place("--with", "per_document=1", "--against", "keyword_weight=0.9", "--against", "mmr=0.5").stdout
    assert "keyword_weight=0.9 mmr=0.5" in said
    assert "better, worse, same" in said
