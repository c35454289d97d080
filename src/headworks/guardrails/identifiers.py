"""Numbers with a checksum: payment cards, IBANs and the national identifiers of people, as data and validators."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

_SHAPE = bytes.maketrans(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", b"9" * 10 + b"A" * 52)
# Brand, lengths, and the ranges of the first four digits.
_BRANDS = (
    ("visa", {16, 19}, ((4000, 4999),)),
    ("mastercard", {16}, ((5100, 5599), (2221, 2720))),
    ("amex", {15}, ((3400, 3499), (3700, 3799))),
    ("discover", {16, 19}, ((6011, 6011), (6440, 6599))),
    ("diners", {14, 16, 19}, ((3000, 3059), (3090, 3099), (3600, 3699), (3800, 3999))),
    ("jcb", {16, 19}, ((3528, 3589),)),
    ("unionpay", {16, 17, 18, 19}, ((6200, 6299),)),
    ("maestro", {16, 17, 18, 19}, ((5000, 5099), (5600, 5899), (6304, 6304), (6759, 6763))),
)
_CARD_GROUPS = {14: ((4, 6, 4),), 15: ((4, 6, 5),), 16: ((4, 4, 4, 4),), 19: ((4, 4, 4, 4, 3), (6, 13))}


def shape(number: bytes) -> str:
    """The form of a number: 9 for each digit, A for each letter, separators as they are."""
    return number.translate(_SHAPE).decode("ascii")


@dataclass(frozen=True, slots=True)
class NationalId:
    """One national identifier.

    `checker` is its module in python-stdnum, which knows the checksum. Numbers in the form `alone` are taken for it by
    themselves, those in the form `unnamed` unless a label says otherwise, those `labelled` only near its `words`.
    """

    rule: str
    checker: str
    words: str
    alone: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    labelled: tuple[str, ...] = ()


def _n(*groups: int, by: str = " ") -> str:
    return by.join("9" * group for group in groups)


_TEN, _ELEVEN, _THIRTEEN = _n(10), _n(11), _n(13)

NATIONAL_IDS: tuple[NationalId, ...] = (
    NationalId(
        "us_ssn",
        "us.ssn",
        r"ssn|ssns|social security(?: number| no)?|soc sec",
        alone=(_n(3, 2, 4, by="-"),),
        labelled=(_n(3, 2, 4), _n(9)),
    ),
    NationalId(
        "us_itin", "us.itin", r"itin|taxpayer(?: id)?", alone=(_n(3, 2, 4, by="-"),), labelled=(_n(9), _n(3, 2, 4))
    ),
    NationalId("uk_nhs", "gb.nhs", r"nhs", labelled=(_n(3, 3, 4), _n(3, 3, 4, by="-"), _TEN)),
    NationalId(
        "de_steuer_id",
        "de.idnr",
        r"steuer-?id|steuer-?idnr|steueridentifikationsnummer|identifikationsnummer|id-?nr|idnr|tin|tax id",
        alone=(_n(2, 3, 3, 3),),
        labelled=(_ELEVEN,),
    ),
    NationalId(
        "fr_nir",
        "fr.nir",
        r"nir|sécurité sociale|securite sociale|insee|sécu",
        alone=(_n(1, 2, 2, 2, 3, 3, 2), _n(15), _n(13, 2)),
    ),
    NationalId("es_dni", "es.dni", r"dni|nif", unnamed=("99999999A", "99999999-A"), labelled=("99.999.999-A",)),
    NationalId(
        "nl_bsn", "nl.bsn", r"bsn|burgerservicenummer|sofi-?nummer", labelled=(_n(9), _n(4, 2, 3, by="."), _n(4, 2, 3))
    ),
    NationalId("pl_pesel", "pl.pesel", r"pesel", labelled=(_ELEVEN,)),
    NationalId(
        "se_personnummer",
        "se.personnummer",
        r"personnummer|personnr|pers\.?nr|pnr",
        labelled=(_n(6, 4, by="-"), _n(8, 4, by="-"), _TEN, _n(12)),
    ),
    NationalId("dk_cpr", "dk.cpr", r"cpr|cpr-?nr|cpr-?nummer|personnummer", labelled=(_n(6, 4, by="-"), _TEN)),
    NationalId(
        "no_fodselsnummer",
        "no.fodselsnummer",
        r"fødselsnummer|fodselsnummer|personnummer|fnr",
        labelled=(_ELEVEN, _n(6, 5)),
    ),
    NationalId("br_cpf", "br.cpf", r"cpf", alone=("999.999.999-99",), labelled=(_ELEVEN,)),
    NationalId(
        "in_aadhaar",
        "in_.aadhaar",
        r"aadhaar|aadhar|adhaar|uidai|uid|आधार",
        labelled=(_n(4, 4, 4), _n(4, 4, 4, by="-"), _n(12)),
    ),
    NationalId(
        "be_national_number",
        "be.nn",
        r"rijksregisternummer|rijksregister|national number|registre national|numéro national|insz|niss",
        alone=("99.99.99-999.99",),
        labelled=(_ELEVEN,),
    ),
    NationalId(
        "ch_ahv", "ch.ssn", r"ahv|avs|ahv-?nr|ahv-?nummer", alone=(_n(3, 4, 4, 2, by="."),), labelled=(_THIRTEEN,)
    ),
    NationalId(
        "at_svnr", "at.vnr", r"svnr|sv-?nummer|sozialversicherungsnummer|versicherungsnummer", labelled=(_n(4, 6), _TEN)
    ),
    NationalId("cz_rodne_cislo", "cz.rc", r"rodné číslo|rodne cislo|rodné čislo|rč", unnamed=(_n(6, 4, by="/"),)),
    NationalId("ie_pps", "ie.pps", r"pps|ppsn|pps number|pps no", labelled=("9999999A",)),
    NationalId("pt_nif", "pt.nif", r"nif|contribuinte", labelled=(_n(9), _n(3, 3, 3))),
    NationalId("gr_amka", "gr.amka", r"amka|αμκα", labelled=(_ELEVEN,)),
    NationalId("hr_oib", "hr.oib", r"oib", labelled=(_ELEVEN,)),
    NationalId("ro_cnp", "ro.cnp", r"cnp|cod numeric personal", labelled=(_THIRTEEN,)),
    NationalId("bg_egn", "bg.egn", r"egn|егн", labelled=(_TEN,)),
    NationalId("ee_isikukood", "ee.ik", r"isikukood|personal code", labelled=(_ELEVEN,)),
    NationalId("lt_asmens_kodas", "lt.asmens", r"asmens kodas|personal code", labelled=(_ELEVEN,)),
    NationalId("tr_tckn", "tr.tckimlik", r"tckn|tc kimlik(?: no)?|kimlik no", labelled=(_ELEVEN,)),
    NationalId("za_id", "za.idnr", r"sa id|rsa id|id number|identity number", labelled=(_THIRTEEN, _n(6, 4, 2, 1))),
    NationalId("il_id", "il.idnr", r"teudat zehut|israeli id|ת\.?ז|תעודת זהות", labelled=(_n(9),)),
    NationalId("kr_rrn", "kr.rrn", r"rrn|resident registration|주민등록번호", unnamed=(_n(6, 7, by="-"),)),
    NationalId("cn_ric", "cn.ric", r"身份证|身份证号|resident identity", alone=(_n(18), _n(17) + "A")),
    NationalId(
        "ca_sin",
        "ca.sin",
        r"sin|social insurance(?: number)?|nas|assurance sociale",
        labelled=(_n(3, 3, 3, by="-"), _n(3, 3, 3), _n(9)),
    ),
    NationalId("au_tfn", "au.tfn", r"tfn|tax file number", labelled=(_n(3, 3, 3), _n(9))),
    NationalId(
        "cl_rut",
        "cl.rut",
        r"rut|run",
        alone=("99.999.999-9", "9.999.999-9", "99.999.999-A", "9.999.999-A"),
        labelled=("99999999-9", "99999999-A", "9999999-9", "9999999-A"),
    ),
    NationalId("th_pin", "th.pin", r"thai id|บัตรประชาชน", alone=("9-9999-99999-99-9",), labelled=(_THIRTEEN,)),
    NationalId("my_nric", "my.nric", r"nric|mykad|ic no|ic number", labelled=(_n(6, 2, 4, by="-"),)),
)


def _by_shape() -> dict[str, tuple[NationalId, ...]]:
    table: dict[str, list[NationalId]] = {}
    for identifier in NATIONAL_IDS:
        for form in (*identifier.alone, *identifier.unnamed, *identifier.labelled):
            table.setdefault(form, []).append(identifier)
    return {form: tuple(identifiers) for form, identifiers in table.items()}


NATIONAL_IDS_BY_SHAPE = _by_shape()
CARD_SHAPES = frozenset(
    [_n(length) for length in range(14, 20)]
    + [_n(*groups, by=by) for forms in _CARD_GROUPS.values() for groups in forms for by in " -"]
)
ALL_WORDS = "|".join(identifier.words for identifier in NATIONAL_IDS)
LONGEST_SHAPE = max(map(len, [*NATIONAL_IDS_BY_SHAPE, *CARD_SHAPES]))


@cache
def checker(module: str) -> Callable[[str], bool]:
    """`is_valid` of a python-stdnum module, imported when it is first needed."""
    found: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
    return found


def is_valid(module: str, number: bytes) -> bool:
    """The number has the form and the check digits of that identifier."""
    return checker(module)(number.decode("ascii"))


def card_brand(digits: str) -> str | None:
    """The brand of a payment card by its first four digits and its length, if Luhn's check digit is right."""
    first = int(digits[:4])
    for brand, lengths, ranges in _BRANDS:
        if len(digits) in lengths and any(low <= first <= high for low, high in ranges):
            return brand if checker("luhn")(digits) else None
    return None


@cache
def _iban_length(country: str) -> int:
    """Characters of an IBAN of that country; 0: it has none."""
    (_, fields), *_ = import_module("stdnum.iban")._ibandb.info(country)  # noqa: SLF001 -- it has no public face
    fixed_lengths = re.findall(r"\d+", fields.get("bban", ""))
    return 4 + sum(map(int, fixed_lengths)) if fixed_lengths else 0


def iban_end(data: bytes, start: int) -> int | None:
    """Where an IBAN that begins at `start` ends, groups may be parted by one space or hyphen; None: there is none."""
    length = _iban_length(data[start : start + 2].decode("ascii").upper())
    if not length:
        return None
    number, position = bytearray(), start
    while len(number) < length and position < len(data):
        byte = data[position : position + 1]
        if byte.isalnum():
            number += byte
        elif byte not in {b" ", b"-"} or not data[position - 1 : position].isalnum():
            return None
        position += 1
    return position if len(number) == length and is_valid("iban", bytes(number)) else None
