from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import HeadworksError, NotSupportedYet, WorkspaceInvalid
from headworks.releases.workspace.reading import Surroundings, parse_workspace

AROUND = Surroundings(
    providers=frozenset({"openai", "vllm", "ollama"}),
    pii_kinds=frozenset({"email", "iban"}),
    permissions=frozenset({"feature:call", "collection:read"}),
    usual_env=frozenset({"OPENAI_API_KEY"}),
    operator_env=frozenset({"TEAM_KEY"}),
)
PROMPT = """---
name: answer
inputs:
  question: {kind: string, from: question}
  passages: {kind: array, from: passages}
---
system:
Answer from the passages.
user:
{% for p in passages %}[{{ p.number }}] {{ p.text }}
{% endfor %}{{ question }}
"""
FEATURE = """owner: claims
route: default
prompt: prompts/answer.prompty
retrieval: {collection: docs, k: 4}
guardrails: {pii: {action: redact}}
"""


def files(**changed: str | None) -> dict[str, bytes]:
    tree = {
        "routes.yaml": "routes:\n  default:\n    targets: [builtin/extractive]\n",
        "collections/docs.yaml": "readers: [everyone]\ndocuments:\n  - match: 'secret/**'\n    readers: [auditors]\n",
        "features/claims/feature.yaml": FEATURE,
        "features/claims/prompts/answer.prompty": PROMPT,
    }
    for name, text in changed.items():
        path = {
            "routes": "routes.yaml",
            "providers": "providers.yaml",
            "roles": "roles.yaml",
            "collection": "collections/docs.yaml",
            "feature": "features/claims/feature.yaml",
            "prompt": "features/claims/prompts/answer.prompty",
        }[name]
        if text is None:
            del tree[path]
        else:
            tree[path] = text
    return {path: text.encode() for path, text in tree.items()}


def complaint(kind: type[HeadworksError] = WorkspaceInvalid, **changed: str | None) -> str:
    with pytest.raises(kind) as caught:
        parse_workspace(files(**changed), AROUND)
    return str(caught.value)


def test_a_whole_workspace_is_read() -> None:
    workspace = parse_workspace(files(), AROUND)
    feature = workspace.features[0]
    assert (feature.name, feature.risk, feature.route, feature.has_gate) == ("claims", "low", "default", False)
    assert feature.retrieval is not None
    assert feature.retrieval.k == 4
    assert feature.pii is not None
    assert feature.pii.action == "redact"
    assert workspace.collections[0].documents == (("secret/**", ("auditors",)),)
    assert workspace.routes[0].targets[0].name == "builtin/extractive"


def test_an_unknown_key_names_file_line_and_the_near_key() -> None:
    message = complaint(feature=FEATURE + "ownr: x\n")
    assert message.startswith("features/claims/feature.yaml:6: unknown key `ownr`.")
    assert "Did you mean `owner`?" in message


def test_an_unknown_key_in_a_nested_section_is_named_with_its_path() -> None:
    message = complaint(feature=FEATURE.replace("k: 4", "k: 4, kk: 1"))
    assert "unknown key `retrieval.kk`" in message
    assert message.startswith("features/claims/feature.yaml:4:")


def test_a_wrong_type_is_told_in_words() -> None:
    assert "`retrieval.k` must be a whole number, not text." in complaint(feature=FEATURE.replace("k: 4", "k: four"))
    assert "it must lie between 1 and 50" in complaint(feature=FEATURE.replace("k: 4", "k: 0"))
    assert "`owner` must be text, not a number." in complaint(feature=FEATURE.replace("claims\n", "7\n", 1))
    assert "`owner` is missing." in complaint(feature=FEATURE.replace("owner: claims\n", ""))


def test_a_key_given_twice_and_broken_yaml_have_their_line() -> None:
    assert complaint(feature=FEATURE + "owner: again\n").startswith("features/claims/feature.yaml:6:")
    assert complaint(routes="routes:\n  default: [\n").startswith("routes.yaml:")
    assert "a mapping of keys is expected" in complaint(routes="- a\n- b\n")


def test_a_file_that_is_not_utf8_is_named_with_its_line() -> None:
    tree = files()
    tree["routes.yaml"] = b"routes:\n  caf\xe9: {}\n"
    with pytest.raises(WorkspaceInvalid, match=r"routes\.yaml:2: not UTF-8\. Save the file as UTF-8\."):
        parse_workspace(tree, AROUND)


@pytest.mark.parametrize("key", ["budget: 5", "tools: [a]", "slos: {}", "canary: {}"])
def test_what_nothing_honours_yet_is_refused_and_never_ignored(key: str) -> None:
    message = complaint(NotSupportedYet, feature=FEATURE + key + "\n")
    assert message.startswith("features/claims/feature.yaml:6:")
    assert "is not supported yet" in message


@pytest.mark.parametrize("word", ["tools", "n"])
def test_what_features_can_t_pass_on_yet_is_refused_where_it_is_accepted(word: str) -> None:
    message = complaint(NotSupportedYet, feature=FEATURE + f"accepts: [system, {word}]\n")
    assert message.startswith(f"features/claims/feature.yaml:6: `accepts`: `{word}` is not supported yet.")


def test_a_feature_accepts_only_what_it_can_and_the_near_word_is_named() -> None:
    message = complaint(feature=FEATURE + "accepts: [sytem]\n")
    assert message.startswith("features/claims/feature.yaml:6: a feature can't accept `sytem`.")
    assert "Did you mean `system`?" in message
    workspace = parse_workspace(files(feature=FEATURE + "accepts: [system, response_format]\n"), AROUND)
    assert workspace.features[0].accepts == {"system", "response_format"}


@pytest.mark.parametrize("path", ["policies/deny.cedar", "tools/mail.yaml"])
def test_folders_that_nothing_honours_yet_are_refused(path: str) -> None:
    with pytest.raises(NotSupportedYet, match="is not supported yet"):
        parse_workspace(files() | {path: b"x"}, AROUND)


@pytest.mark.parametrize(
    "path",
    [
        "features/claims/evals/suite.yaml",
        "features/claims/golden/a.jsonl",
        "features/claims/taxonomy.yaml",
        "collections/docs.golden.jsonl",
        "README.md",
    ],
)
def test_files_of_evaluation_are_left_alone_with_a_notice(path: str) -> None:
    workspace = parse_workspace(files() | {path: b"\xff anything"}, AROUND)
    assert [notice for notice in workspace.notices if notice.startswith(path)]


def test_golden_queries_are_checked_where_they_can_be() -> None:
    seen: list[str] = []

    def read_golden(path: str, content: bytes) -> None:
        seen.append(path)
        if content != b"good":
            raise WorkspaceInvalid(f"{path}:3: wrong.")

    around = replace(AROUND, read_golden=read_golden)
    golden = "collections/docs.golden.jsonl"
    workspace = parse_workspace(files() | {golden: b"good"}, around)
    assert seen == [golden]
    assert not [notice for notice in workspace.notices if "golden" in notice]
    with pytest.raises(WorkspaceInvalid, match=r"docs\.golden\.jsonl:3: wrong"):
        parse_workspace(files() | {golden: b"bad"}, around)
    workspace = parse_workspace(files() | {"collections/old.golden.jsonl": b"bad"}, around)
    assert "collections/old.golden.jsonl: left alone, there is no `collections/old.yaml`." in workspace.notices


def test_a_misspelt_file_is_an_error() -> None:
    with pytest.raises(WorkspaceInvalid, match=r"route\.yaml:1: nothing reads a file of this name here"):
        parse_workspace(files() | {"route.yaml": b""}, AROUND)
    with pytest.raises(WorkspaceInvalid, match="the folder has no `feature.yaml`"):
        parse_workspace(files() | {"features/other/knowledge/a.md": b"x"}, AROUND)


def test_references_are_checked_and_name_what_is_near() -> None:
    assert "Did you mean `default`?" in complaint(feature=FEATURE.replace("default", "defalt"))
    assert "names the collection `dogs`" in complaint(feature=FEATURE.replace("docs", "dogs"))
    reranked = FEATURE.replace("k: 4}", "k: 4, search: {rerank: true}}")
    assert "the collection's file names no model for it" in complaint(feature=reranked)
    assert "names the provider `opnai`" in complaint(routes="routes: {default: {targets: [opnai/gpt]}}\n")
    assert "there is no `builtin/extractiv`" in complaint(routes="routes: {default: {targets: [builtin/extractiv]}}\n")
    assert "is not `provider/model`" in complaint(routes="routes: {default: {targets: [gpt]}}\n")
    assert "has no targets" in complaint(routes="routes: {default: {targets: []}}\n")
    assert "there is no file 'prompts/answr.prompty'" in complaint(feature=FEATURE.replace("answer.", "answr."))
    assert "lies outside" in complaint(feature=FEATURE.replace("prompts/answer.prompty", "../../routes.yaml"))


def test_a_feature_and_a_route_of_one_name_collide() -> None:
    message = complaint(
        routes="routes:\n  default: {targets: [builtin/extractive]}\n  claims: {targets: [builtin/extractive]}\n"
    )
    assert "`claims` is the name of a route too" in message


def test_kinds_of_personal_data_are_checked() -> None:
    assert "unknown kind of personal data `mail`" in complaint(
        feature=FEATURE.replace("{action: redact}", "{action: redact, kinds: [mail]}")
    )
    assert "`guardrails.pii.action` is 'hide'" in complaint(feature=FEATURE.replace("redact", "hide"))


def test_roles_hold_only_known_permissions() -> None:
    workspace = parse_workspace(files(roles="roles: {nurse: {permissions: [feature:call]}}\n"), AROUND)
    assert workspace.roles == {"nurse": ("feature:call",)}
    assert "Did you mean `feature:call`?" in complaint(roles="roles: {nurse: {permissions: [feature:cal]}}\n")


def test_a_usual_key_never_travels_to_an_address_that_a_workspace_chose() -> None:
    usual = "providers: {openai: {api_key_env: OPENAI_API_KEY}}\n"
    assert parse_workspace(files(providers=usual), AROUND).accounts[0].kind == "openai"
    elsewhere = "providers: {openai: {base_url: 'http://evil.example/v1', api_key_env: OPENAI_API_KEY}}\n"
    assert "does not hand out `OPENAI_API_KEY`" in complaint(providers=elsewhere)
    allowed = "providers: {ours: {kind: vllm, base_url: 'http://10.0.0.5:8000/v1', api_key_env: TEAM_KEY}}\n"
    assert parse_workspace(files(providers=allowed), AROUND).accounts[0].api_key_env == "TEAM_KEY"
    assert "is no http(s) address" in complaint(providers="providers: {ours: {kind: vllm, base_url: 'file:///etc'}}\n")
    assert "does not hand out `HOME`" in complaint(providers="providers: {openai: {api_key_env: HOME}}\n")


def test_an_account_says_how_its_provider_is_reached() -> None:
    text = (
        "providers:\n  ours:\n    kind: vllm\n    base_url: https://llm.ours.example/v1\n    proxy: http://proxy.ours:3128\n"
        "    ca_file: /etc/ssl/ours.pem\n    client_certificate: /etc/ssl/gateway.pem\n"
    )
    account = parse_workspace(files(providers=text), AROUND).accounts[0]
    assert (account.proxy, account.ca_file) == ("http://proxy.ours:3128", "/etc/ssl/ours.pem")
    assert (account.client_certificate, account.api_version) == ("/etc/ssl/gateway.pem", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("proxy: socks5://proxy:1080", "the address of the proxy is not of http or https"),
        ("proxy: http://proxy:x", "the address of the proxy can't be read"),
        ("proxy: http://", "the address of the proxy is not http(s)://host:port"),
        ("proxy: http://proxy:3128/path", "the address of the proxy is not http(s)://host:port"),
        ("proxy: http://me:secret@proxy:3128", "holds a name or password. The operator writes a proxy with a password"),
        ("proxy: 3128", "`providers.openai.proxy` must be text"),
        ("ca_file: ours.pem", "'ours.pem' is no absolute path"),
        ("ca_file: /etc/../root/x", "is no absolute path"),
        ("client_certificate: ~/me.pem", "is no absolute path"),
        ("api_version: 2024-10-21", "unknown key `providers.openai.api_version`"),
        ("ca_fil: /x", "unknown key `providers.openai.ca_fil`. Did you mean `ca_file`?"),
    ],
)
def test_how_a_provider_is_reached_is_checked_with_its_line(line: str, said: str) -> None:
    message = complaint(providers=f"providers:\n  openai:\n    kind: openai\n    {line}\n")
    assert message.startswith("providers.yaml:4: ")
    assert said in message
    assert "secret" not in message


def test_a_proxy_is_for_https_alone() -> None:
    text = "providers:\n  ours:\n    kind: vllm\n    base_url: http://10.0.0.5:8000/v1\n    proxy: http://proxy:3128\n"
    message = complaint(providers=text)
    assert message.startswith("providers.yaml:5: a proxy is for https addresses")


def test_only_azure_has_versions() -> None:
    around = replace(AROUND, providers=AROUND.providers | {"azure"})
    text = "providers:\n  eu:\n    kind: azure\n    base_url: https://eu.openai.azure.com\n    api_version: {}\n"
    read = parse_workspace(files(providers=text.format("preview")), around).accounts[0]
    assert read.api_version == "preview"
    with pytest.raises(WorkspaceInvalid, match=r"providers.yaml:5: '2024&x=1' is no version"):
        parse_workspace(files(providers=text.format("2024&x=1")), around)


def test_a_collection_without_readers_is_nobodys_and_says_so() -> None:
    workspace = parse_workspace(files(collection="description: x\n"), AROUND)
    assert workspace.collections[0].readers == ()
    assert "nobody can read this collection" in workspace.notices[0]


def test_an_entry_for_documents_without_readers_is_an_error_but_an_empty_list_is_nobody() -> None:
    assert "`documents.readers` is missing" in complaint(collection="readers: [a]\ndocuments:\n  - match: x\n")
    spec = parse_workspace(
        files(collection="readers: [a]\ndocuments:\n  - {match: x, readers: []}\n"), AROUND
    ).collections[0]
    assert spec.documents == (("x", ()),)


@given(st.dictionaries(st.sampled_from([*files(), "x.yaml", "features/a/feature.yaml"]), st.binary(max_size=200)))
def test_arbitrary_bytes_are_read_or_refused_with_a_message_but_never_crash(tree: dict[str, bytes]) -> None:
    try:
        parse_workspace(files() | tree, AROUND)
    except HeadworksError as error:
        assert ":" in error.message  # noqa: PT017 -- either outcome is right; the message must have a place
