"""The words of numbers, units and months in the languages that the check of facts knows: tables, and nothing else."""

from __future__ import annotations

_COUNTED = """
zero null|one ein eine eins un une uno una|two zwei deux dos|three drei trois tres|four vier quatre cuatro
five fünf cinq cinco|six sechs seis|seven sieben siete|eight acht huit ocho|nine neun neuf nueve|ten zehn dix diez
eleven onze|twelve zwölf douze doce|thirteen dreizehn treize trece|fourteen vierzehn quatorze catorce
fifteen fünfzehn quinze quince|sixteen sechzehn seize dieciséis|seventeen siebzehn|eighteen achtzehn|nineteen neunzehn
"""
_TENS = """
twenty zwanzig vingt veinte|thirty dreißig dreissig trente treinta|forty vierzig quarante cuarenta
fifty fünfzig cinquante cincuenta|sixty sechzig soixante sesenta|seventy siebzig|eighty achtzig|ninety neunzig noventa
"""
_UNITS = """
%: % percent prozent pct ％ ٪
s: s sec secs second seconds sekunde sekunden seconde secondes segundo segundos
min: min mins minute minutes minuten minuto minutos
h: h hr hrs hour hours stunde stunden heure heures hora horas
d: day days tag tage tagen jour jours día días dia dias giorno giorni dag dagen 日 天
wk: week weeks wk wks woche wochen semaine semaines semana semanas weken
mo: month months monat monate monaten mois mes meses maand maanden 月
y: year years yr yrs jahr jahre jahren ans année années año años jaar 年
q: quarter quarters quartal quartale trimestre trimestres
mm: mm millimetre millimetres millimeter millimeters
cm: cm centimetre centimetres centimeter centimeters zentimeter
m: m metre metres meter meters mètre mètres metro metros
km: km kilometre kilometres kilometer kilometers
in: inch inches
ft: ft foot feet
mi: mile miles
mg: mg milligram milligrams milligramm
µg: µg μg mcg microgram micrograms mikrogramm
g: g gram grams gramm
kg: kg kilogram kilograms kilo kilos kilogramm
t: t tonne tonnes
lb: lb lbs
ml: ml millilitre millilitres milliliter milliliters
l: l litre litres liter liters
$: $ usd dollar dollars
€: € eur euro euros
£: £ gbp
chf: chf franc francs franken fr
¥: ¥ jpy yen
°c: °c celsius
°f: °f fahrenheit
kb: kb kilobyte kilobytes
mb: mb megabyte megabytes
gb: gb gigabyte gigabytes
tb: tb terabyte terabytes
hz: hz
khz: khz
mhz: mhz
ghz: ghz
kw: kw
kwh: kwh
"""
POWERS = {"thousand": 3, "tausend": 3, "mille": 3, "mil": 3, "k": 3, "million": 6, "millions": 6, "millionen": 6}
POWERS |= {"mio": 6, "millones": 6, "billion": 9, "billions": 9, "bn": 9, "milliarde": 9, "milliarden": 9, "mrd": 9}
"""Powers of ten by their word."""
_MONTHS = """
january jan januar jänner janvier enero gennaio januari janeiro|february feb februar février febrero febbraio fevereiro
march mar märz mars marzo maart março|april apr avril abril aprile|may mai mayo maggio mei maio
june jun juni juin junio giugno junho|july jul juli juillet julio luglio julho|august aug août agosto augustus
september sep sept septembre septiembre settembre setembro|october oct oktober okt octobre octubre ottobre outubro
november nov novembre noviembre novembro|december dec dezember dez décembre diciembre dicembre december dezembro
"""


def _rows(table: str, first: int, step: int = 1) -> dict[str, int]:
    """Words of a table by the number of their row."""
    rows = [row for line in table.strip().splitlines() for row in line.split("|")]
    return {word: first + step * place for place, row in enumerate(rows) for word in row.split()}


NUMBER_WORDS = {word: str(value) for word, value in (_rows(_COUNTED, 0) | _rows(_TENS, 20, 10)).items()}
"""Written numbers by their word, in lower case."""
ONES = frozenset(word for word, value in NUMBER_WORDS.items() if value in {"0", "1"})
"""Articles and pronouns in some language: a claim that says them counts nothing."""
UNIT_OF = {
    word: row.partition(": ")[0] for row in _UNITS.strip().splitlines() for word in row.partition(": ")[2].split()
}
"""Units by their words and signs, in lower case."""
MONTH_OF = _rows(_MONTHS, 1)
"""Months from 1 by their names, in lower case."""
AGES = frozenset(("s", "min", "h", "d", "wk", "mo", "y", "q"))
"""Units of time: the only ones that a word may stand before, as in "two business days"."""
