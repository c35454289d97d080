"""Texts of many languages and scripts: how they are taken apart, and how a question is asked of a mixed collection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.analysis import query_terms, terms, terms_of, tokens, words
from headworks.retrieval.passages.languages import LATIN, STOP_WORDS, languages_of
from headworks.types.workspace import LANGUAGES

SAMPLES = {
    "ca": "El pacient ha de demanar una cita amb el metge abans de la visita, perquè és necessari per a la cobertura.",
    "cs": "Pojištěnec má nárok na úhradu nákladů, pokud byl výkon předem schválen a není uveden v seznamu výjimek.",
    "da": "Den forsikrede har ret til dækning af udgifterne, hvis behandlingen er godkendt og ikke er nævnt her.",
    "de": "Die Versicherten haben Anspruch auf Erstattung der Kosten, wenn die Behandlung vorher genehmigt wurde.",
    "en": "Members have a right to be paid for the treatment if it was approved before and is not listed here.",
    "es": "Los asegurados tienen derecho al reembolso de los gastos si el tratamiento fue aprobado por el plan.",
    "fi": "Vakuutetulla on oikeus korvaukseen, jos hoito on hyväksytty etukäteen eikä se ole mukana luettelossa.",
    "fr": "Les assurés ont droit au remboursement des frais si le traitement a été approuvé par la caisse avant.",
    "hu": "A biztosított jogosult a költségek megtérítésére, ha a kezelést előre jóváhagyták, és az nem szerepel itt.",
    "id": "Peserta berhak atas penggantian biaya jika perawatan tersebut telah disetujui dan tidak ada dalam daftar.",
    "it": "Gli assicurati hanno diritto al rimborso delle spese se il trattamento è stato approvato dalla cassa.",
    "nl": "De verzekerde heeft recht op vergoeding van de kosten als de behandeling vooraf is goedgekeurd door ons.",
    "no": "Den forsikrede har rett til dekning av utgiftene hvis behandlingen ikke er nevnt her, og noen har sagt ja.",
    "pl": "Ubezpieczony ma prawo do zwrotu kosztów, jeśli leczenie zostało wcześniej uznane i nie jest na liście.",
    "pt": "Os segurados têm direito ao reembolso das despesas se o tratamento foi aprovado pelo plano e não está aqui.",
    "ro": "Asigurații au dreptul la rambursarea cheltuielilor dacă tratamentul a fost aprobat și nu este în listă.",
    "sv": "Den försäkrade har rätt till ersättning för kostnaderna om behandlingen inte är undantagen och godkänts.",
    "tr": "Sigortalı, tedavi daha önce onaylanmış ise ve bu listede yer almıyor ise masraflar için ödeme alır.",
}


def test_a_file_may_name_just_the_languages_that_are_known() -> None:
    assert LANGUAGES == LATIN
    assert set(LATIN) <= set(STOP_WORDS)


@pytest.mark.parametrize("language", LATIN)
def test_a_sentence_tells_its_language(language: str) -> None:
    assert languages_of([words(SAMPLES[language])]) == [language]


def test_what_does_not_tell_is_in_the_documents_language_else_in_english() -> None:
    title = words("Anlage 3: Leistungskatalog")
    assert languages_of([title, words(SAMPLES["de"])]) == ["de", "de"]
    assert languages_of([title, words(SAMPLES["de"]), words(SAMPLES["en"])]) == ["en", "de", "en"]
    assert languages_of([title]) == ["en"]
    assert languages_of([words("SELECT de, la FROM les WHERE un = 1"), []]) == ["en", "en"]
    assert languages_of([words("Phillips, D. L., Dijkstra, E. W., Hill, I. D. and Z. O. S. C., CACM 1971")]) == ["en"]
    assert languages_of([]) == []


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("de", "Die Häuser der Müllers", "haus mueller"),
        ("de", "STRASSE", "straße"),
        ("fr", "l’école qu'elle", "ecoles"),
        ("it", "dell'assicurazione", "assicurazioni"),
        ("es", "las pensiones", "pension"),
        ("tr", "sağlıklı", "saglikli"),
        ("da", "ærø", "aero"),
        ("pl", "łódź", "lodz"),
        ("de", "1.500,75 und 12,5", "1500.75 12.5"),
    ],
)
def test_forms_of_a_word_meet(language: str, one: str, other: str) -> None:
    assert terms(one, language) == terms(other, language)


def test_words_carry_their_language_and_numbers_do_not() -> None:
    assert terms("Die 3 Katzen", "de") == ["3", "de:katz"]
    assert terms("the 3 cats", "en") == ["3", "cat"]
    assert terms("Café cafes naïve", "en") == ["cafe", "cafe", "naiv"]


def test_compounds_are_left_in_one_piece() -> None:
    assert len(terms("Krankenversicherungsbeitrag", "de")) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("健康保険", ["健康", "康保", "保険"]),
        ("보험 급여", ["보험", "급여"]),
        ("税", ["税"]),
        ("ประกัน", ["ปร", "ระ", "ะก", "กั", "ัน"]),
        ("第3条 ISO27001規格", ["第", "3", "条", "iso27001", "規格"]),
    ],
)
def test_scripts_without_spaces_go_in_pairs(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("الْكِتَاب", "الكتاب"),
        ("أحمد", "احمد"),
        ("שָׁלוֹם", "שלום"),
        ("ёлка", "елка"),
        ("полисы", "полис"),
        ("άνθρωπος", "ανθρωπος"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_other_scripts_are_taken_by_their_own_rules_in_any_text(one: str, other: str) -> None:
    assert terms(one, "en") == terms(other, "de") != []


def test_small_words_of_other_scripts_are_gone() -> None:
    assert terms("и не это страховка") == terms("страховка")
    assert tokens("हिन्दी में") == ["हिन्दी", "में"], "vowel signs belong to their word"


def test_a_question_is_asked_in_each_language_that_a_collection_holds() -> None:
    assert query_terms("cats and cats") == {("cat",): 2}
    assert query_terms("Katzen", ["de", "en"]) == {("de:katz", "katzen"): 1}
    assert query_terms("Katzen", ["de"]) == {("de:katz",): 1}
    assert query_terms("Katzen", []) == {("katzen",): 1}
    assert query_terms("Katze, Katzen 東京都", ["de", "en"]) == {
        ("de:katz", "katz"): 1, ("de:katz", "katzen"): 1, ("東京",): 1, ("京都",): 1,
    }  # fmt: skip


def test_small_words_of_the_questions_own_language_are_looked_for_in_none() -> None:
    found = query_terms("Kündigt die Kasse oder das Mitglied?", ["de", "en"])
    assert not {"die", "das", "oder"} & {term for word in found for term in word}
    assert ("de:kass", "kass") in found
    assert ("die",) in query_terms("members die", ["de", "en"])


@given(st.text(max_size=200), st.sampled_from([*LATIN, "xx"]))
def test_any_text_has_terms_and_the_same_ones_each_time(text: str, language: str) -> None:
    found = terms(text, language)
    assert found == terms_of(words(text), language)
    assert all(0 < len(term) <= 80 for term in found)
    assert all(each.isprintable() or each for each in found)
    assert languages_of([words(text)])[0] in LATIN
    asked = query_terms(text, ["de", language])
    assert {term for word in asked for term in word} <= {*terms(text, "de"), *terms(text, language)}
    assert all(word and len(word) == len(set(word)) for word in asked)
