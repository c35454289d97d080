"""A known-item test collection in another language, made of Debian's translated manual pages.

    python bench/retrieval/manual_pages.py LANGUAGE FOLDER [--most 600]

Each page has one line that says what it is for, in its first section. That line is a query, and the page, without that
section, is the only document that answers it. Names of the page are taken out of the query; a line that several pages
have, or of which less than two words are left, is no query. The page stays in as a document.

Reads the pages of the installed packages (`manpages-de` for de, `manpages` and `manpages-dev` for en), sets them with
groff, and writes BEIR's form: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`, and `source.json` with the versions. The
same packages give the same files.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = {"en": ("manpages", "manpages-dev")}
_PAGE = re.compile(r"/usr/share/man/(?:[a-z]{2}(?:_[A-Z]{2})?/)?man\d/([^/]+)\.(\d\w*)\.gz")
_GROFF = ("groff", "-K", "utf8", "-t", "-mandoc", "-Tutf8", "-P-cbou", "-rLL=2000n", "-dAD=l", "-rHY=0")
"""A paragraph on a line, without hyphens, bold or underlined letters."""
_IS_SAID = re.compile(r"\s+[-\u2013\u2014\u2212]+\s+")
"""Between the names of a page and what it is for."""
_TRANSLATORS = re.compile(r"ÜBERSETZUNG|TRANSLATION|TRADUCTION|TRADUCCIÓN|TRADUZIONE|VERTALING|TŁUMACZENIE")
_FEWEST_WORDS = 2
_FEWEST_CHARACTERS, _MOST_CHARACTERS = 500, 40_000
_MOST = 600


@dataclass(frozen=True, slots=True)
class Page:
    """One manual page: `ls.1`, the line that says what it is for (without its names), and the rest as Markdown."""

    name: str
    purpose: str
    text: str

    @property
    def title(self) -> str:
        """As manuals name each other: ls(1)."""
        stem, _, section = self.name.rpartition(".")
        return f"{stem}({section})"


def packages_of(language: str) -> tuple[str, ...]:
    """Debian's packages with manual pages in a language."""
    return _PACKAGES.get(language, (f"manpages-{language}",))


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of each package. Ends the program where one is not installed."""
    found = {}
    for package in packages:
        asked = _asked("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", package)
        status, _, version = asked.partition(" ")
        if status != "installed":
            raise SystemExit(f"{package} is not installed: apt-get install {' '.join(packages)} groff-base")
        found[package] = version
    return found


def _asked(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def files_of(packages: Sequence[str]) -> list[Path]:
    """The pages of these packages, each once: what is only a link to another page is left out."""
    listed = sorted(Path(line) for package in packages for line in _asked("dpkg-query", "-L", package).splitlines())
    return [path for path in listed if _PAGE.fullmatch(str(path)) and path.is_file() and not path.is_symlink()]


def read_page(path: Path) -> Page | None:
    """A page, set as text; None where it has no line that says what it is for, or only names another page."""
    matched = _PAGE.fullmatch(str(path))
    source = gzip.decompress(path.read_bytes())
    if matched is None or source.lstrip().startswith(b".so "):
        return None
    done = subprocess.run(_GROFF, input=source, check=False, capture_output=True)
    return parsed(f"{matched[1]}.{matched[2]}", done.stdout.decode(errors="replace"))


def parsed(name: str, rendered: str) -> Page | None:
    """A page from its text as groff sets it: the headings of sections stand at the margin."""
    lines = rendered.strip("\n").split("\n")[1:-1]  # between the head and the foot of the page
    sections: list[tuple[str, list[str]]] = []
    for line in lines:
        if line[:1].strip():
            sections.append((line.strip(), []))
        elif sections:
            sections[-1][1].append(line)
    if not sections:
        return None
    first = next((line for line in sections[0][1] if line.strip()), "")
    names, *said = _IS_SAID.split(" ".join(first.split()), maxsplit=1)
    if not said:
        return None
    kept = [_as_markdown(heading, body) for heading, body in sections[1:] if not _TRANSLATORS.fullmatch(heading)]
    known = {each.strip() for each in names.split(",")} | {name.rpartition(".")[0]}
    return Page(name, without_names(said[0], known), "\n\n".join(kept))


def _as_markdown(heading: str, body: Sequence[str]) -> str:
    found = [f"## {heading}", ""]
    for line in body:
        text = " ".join(line.split())
        is_heading = line.startswith("   ") and line[3:4].strip() != ""
        found.append(f"### {text}" if is_heading else re.sub(r"^([#>=+*-])", r"\\\1", text))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(found)).strip()


def without_names(purpose: str, names: set[str]) -> str:
    """What a page is for, without what it is called."""
    for name in sorted(names, key=lambda each: (-len(each), each)):
        if name:
            purpose = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)(?:\(\d\w*\))?", " ", purpose, flags=re.IGNORECASE)
    return " ".join(purpose.split()).strip(" -,;:.")


def chosen(pages: Sequence[Page], most: int) -> list[Page]:
    """At most so many, neither tiny nor huge, by the hash of their names; in the order of these."""
    fitting = [each for each in pages if _FEWEST_CHARACTERS <= len(each.text) <= _MOST_CHARACTERS]
    by_hash = sorted(fitting, key=lambda each: hashlib.sha256(each.name.encode()).digest())
    return sorted(by_hash[:most], key=lambda each: each.name)


def queries_of(pages: Sequence[Page]) -> dict[str, str]:
    """The query of each page that has one of its own."""
    often = Counter(each.purpose.casefold() for each in pages)
    return {
        each.name: each.purpose
        for each in pages
        if often[each.purpose.casefold()] == 1 and len(re.findall(r"\w{2,}", each.purpose)) >= _FEWEST_WORDS
    }


def build(language: str, into: Path, most: int = _MOST) -> Path:
    """The collection in a folder of this language, these versions and this size, made where it is not there yet."""
    packages = packages_of(language)
    known = versions(packages)
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    label = "-".join((*known.values(), str(most), code)).replace(":", "-")
    folder = into / label / f"manual-pages-{language}"
    if (folder / "source.json").exists():
        return folder
    with ThreadPoolExecutor(2) as pool:
        read = [page for page in pool.map(read_page, files_of(packages)) if page is not None]
    pages = chosen(read, most)
    queries = queries_of(pages)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "corpus.jsonl", [{"_id": each.name, "title": each.title, "text": each.text} for each in pages])
    _write(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in queries.items()])
    judged = ["query-id\tcorpus-id\tscore", *(f"{name}\t{name}\t1" for name in queries)]
    (folder / "qrels.tsv").write_text("\n".join(judged) + "\n", encoding="utf-8")
    counts = {"pages": len(read), "documents": len(pages), "queries": len(queries)}
    (folder / "source.json").write_text(json.dumps({"packages": known, **counts}) + "\n", encoding="utf-8")
    return folder


def _write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("language", help="de, en, or another that Debian has a package manpages-… for")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=_MOST, help="pages")
    given = parser.parse_args()
    folder = build(given.language, given.folder, given.most)
    print(f"{folder}: {(folder / 'source.json').read_text().strip()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
