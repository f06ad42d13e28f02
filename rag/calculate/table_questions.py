"""Which cells of a table a question computes with. Pure: words decide, as for the look-ups.

In: a question, an operation and a table. Out: a `Selection` of cells, or None where words do not single them out. Each
word of the question picks columns (by their header), rows (by their cells) or the table itself (by its headings); what
picks nothing lowers the coverage. Summed and averaged are the rows that all picking words share, totals left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.calculate.measures import MEASURING, fits
from rag.calculate.quantities import NOTHING, WORDS, unit_of
from rag.calculate.tables import MONTHS, Table, header_words
from rag.dates import years
from rag.question_kind import Kind
from rag.word_lists import any_of
from rag.words import stems

IGNORED = stems(WORDS["operations"]["stems"])
_RANGE = any_of(WORDS["operations"]["range"])
_COUNTED = re.compile(r"\b(?:how many|number of) (\w+)", re.IGNORECASE)
Place = tuple[int, int]  # row and column of a cell
_FROM_TO = re.compile(r"\bfrom\b.+\bto\b|\b(?:change|rise|fall|grow|increase|decrease)\b.+\bbetween\b", re.IGNORECASE)
_PER = re.compile(r"\b(?:per|each|every) (\w+)", re.IGNORECASE)
PAIRS = (Kind.DIFFERENCE, Kind.CHANGE, Kind.RATIO, Kind.SHARE)
EXTREMES = (Kind.LARGEST, Kind.SMALLEST)


@dataclass(frozen=True, slots=True)
class Selection:
    """cells: (row, column) of each operand, in the order of the operation.

    coverage: 0..1, the share of the question's words that the selection accounts for.
    """

    cells: tuple[Place, ...]
    coverage: float


def select(question: str, operation: Kind, table: Table) -> Selection | None:
    """The cells that the question computes with; None where they are not clear."""
    said = header_words(question) | _stop_labels(question, table)
    asked = said - IGNORED
    if table.dated > 1 and (years(question) or said & MONTHS):
        return None  # of which of the dates?
    if any(stems(word) and not stems(word) & table.headers[0] for word in _PER.findall(question)):
        return None  # a mean per customer over rows that are no customers
    if operation is Kind.COUNT:
        return _count(question, asked, table)
    columns = _columns(asked, said, _years_asked(question), table)
    if operation in EXTREMES and not any(_years_in(table.columns[at]) for at in columns):
        columns = _first_named(question, table, said) or columns
    if not columns:
        return None
    in_headers = asked & frozenset().union(*(table.headers[at] for at in columns))
    if len(columns) > 1:
        rows, in_rows = _best_rows(said - in_headers, table, columns, 1)
    elif operation in PAIRS:
        rows, in_rows = _best_rows(said - in_headers, table, columns, 2)
    else:
        rows, in_rows = _all_rows(asked - in_headers, table)
    cells = [(row, column) for row in rows for column in columns if table.quantities[row][column] is not None]
    if operation in EXTREMES or operation is Kind.MEAN:
        cells = [(row, column) for row, column in cells if table.rows[row].cells[column].text not in NOTHING]
    if operation in PAIRS:
        cells = _ordered(question, operation, table, cells) if len(cells) == 2 else []
    if operation is Kind.SHARE and any(table.rows[row].total for row, _ in cells) and table.totals:
        return None  # of the total row, or of the total column?
    if len(cells) < 2 or not _measurable(question, table, cells, columns) or not _of_years(question, table, cells):
        return None
    known = in_headers | in_rows | _units_asked(asked, table, columns)
    if all(table.quantity(*cell).unit for cell in cells):
        known |= MEASURING  # "stronger" is said by the kW of the cells
    return Selection(tuple(cells), _coverage(asked, known, table))


def _count(question: str, asked: frozenset[str], table: Table) -> Selection | None:
    """The rows that the question picks; of a column of names that it asks for, one row for each name."""
    if any(_share(table, at, header_words(question) - table.about) for at in table.numeric):
        return None  # a quantity, of which the rows are no count
    rows, in_rows = _all_rows(asked - frozenset().union(*table.headers), table)
    wanted = frozenset().union(*(stems(word) for word in _COUNTED.findall(question)))
    named = [at for at, header in enumerate(table.headers) if at and at not in table.numeric and header & wanted]
    cells = {table.rows[row].cells[named[0]].text if named else row: (row, named[0] if named else 0) for row in rows}
    coverage = _coverage(asked, in_rows, table)
    return Selection(tuple(cells.values()), coverage) if len(cells) > 1 else None


def _coverage(asked: frozenset[str], known: frozenset[str], table: Table) -> float:
    """The share of the asked words that are known, or said by the headings over the table or over its labels."""
    labels = frozenset().union(*(table.headers[at] for at in range(len(table.columns)) if at not in table.numeric))
    return len(asked & (known | table.about | labels)) / len(asked) if asked else 0.0


def _measurable(question: str, table: Table, cells: Sequence[Place], columns: Sequence[int]) -> bool:
    """Whether the cells measure what is asked for, and columns that are set beside each other measure the same.

    Columns measure the same where each is of another year, or where the question names each of them.
    """
    said = header_words(question)
    units = {table.quantity(*cell).unit for cell in cells}
    if len(columns) > 1:
        dates = [_years_in(table.columns[at]) for at in columns]
        dated = all(dates) and len(set(dates)) == len(dates)
        if len(units - {""} if dated else units) > 1:
            return False
        if not dated and not all(_share(table, at, said) for at in columns):
            return False
    counted = {unit_of(word) for word in _COUNTED.findall(question)} - {""}
    return fits(said, units) and (not counted or all(not unit or unit in counted for unit in units))


def _of_years(question: str, table: Table, cells: Sequence[Place]) -> bool:
    """Whether the cells are of the years that the question names, where their rows or columns have years at all.

    A question about two years is not answered by cells of none.
    """
    asked = _years_asked(question)
    found = [_years_in(table.columns[column]) | _years_in(table.rows[row].label) for row, column in cells]
    if len(years(question)) == 2 and not all(found):
        return table.about >= asked or any(asked & table.rows[row].words for row, _ in cells)
    return all(not one or not asked or one & asked for one in found)


def _columns(asked: frozenset[str], said: frozenset[str], wanted: frozenset[str], table: Table) -> list[int]:
    """The columns of quantities: of the years that are asked for, and of these the ones whose header is named best.

    Without a name the only one, the only one in a unit that is named, or all of them.
    """
    numeric = list(table.numeric)
    dated = [at for at in numeric if _years_in(table.columns[at])]
    of_years = [at for at in dated if _years_in(table.columns[at]) & wanted]
    among = of_years or (dated if len(dated) > 1 else numeric)
    for words in (asked - table.about, asked, *([] if of_years or among is dated else [said])):
        shares = {at: _share(table, at, words) for at in among}
        if best := max(shares.values(), default=0.0):
            break
    if best:
        return [at for at in among if shares[at] == best]
    by_unit = [at for at in among if any(unit_of(word) and unit_of(word) == table.units[at] for word in asked)]
    return by_unit if len(by_unit) == 1 else among


def _first_named(question: str, table: Table, said: frozenset[str]) -> list[int]:
    """Of several columns that a question names, the one that it names first: "the largest difference from budget"."""
    named = [at for at in table.numeric if _share(table, at, said) == 1]
    places = {at: _place(question, table.headers[at] - table.about) for at in named}
    return [min(named, key=lambda at: places[at])] if len(named) > 1 else []


def measures(question: str, table: Table) -> bool:
    """Whether a column measures what a question counts: "how many hours" asks for no number of rows."""
    units = {unit_of(word) for word in _COUNTED.findall(question)} - {""}
    return any(table.units[at] in units for at in table.numeric)


def _best_rows(
    said: frozenset[str], table: Table, columns: Sequence[int], count: int
) -> tuple[list[int], frozenset[str]]:
    """The `count` rows with quantities in these columns that the question names best, and the words that name them."""
    weights = _weights(table)
    filled = [at for at, row in enumerate(table.quantities) if any(row[column] is not None for column in columns)]
    scores = {at: _fit(table.rows[at].words, said, weights) for at in filled}
    named = sorted((at for at in filled if scores[at] > 0), key=lambda at: -scores[at])[:count]
    if not named and len(filled) == count:
        named = filled
    return sorted(named), frozenset().union(*(table.rows[at].words for at in named)) & said


def _all_rows(asked: frozenset[str], table: Table) -> tuple[list[int], frozenset[str]]:
    """All rows that hold each word which some rows hold and others do not, and these words. No totals among them."""
    plain = [at for at, row in enumerate(table.rows) if not row.total] or list(range(len(table.rows)))
    holding = {word: {at for at in plain if word in table.rows[at].words} for word in asked}
    telling = {word: held for word, held in holding.items() if held and len(held) < len(plain)}
    if not telling:
        return plain, frozenset()
    return sorted(set.intersection(*telling.values())), frozenset(telling)


def _stop_labels(question: str, table: Table) -> frozenset[str]:
    """The words of labels such as "Other", which are stop words elsewhere, that the question says."""
    said = frozenset(re.findall(r"\w+", question.casefold()))
    labels = (row.words for row in table.rows if row.words and not stems(row.label))
    return frozenset().union(*(words for words in labels if words <= said))


def _fit(words: frozenset[str], asked: frozenset[str], weights: dict[str, float]) -> float:
    """How well a question names a row: F1 of their words, each weighing what it tells about rows."""
    shared = sum(weights[word] for word in words & asked)
    if not shared:
        return 0.0
    asked_weight = sum(weights.get(word, 0.0) for word in asked)
    return 2 * shared / (sum(weights[word] for word in words) + asked_weight)


def _weights(table: Table) -> dict[str, float]:
    """Inverse document frequency of the words of rows."""
    counts: dict[str, int] = {}
    for row in table.rows:
        for word in row.words:
            counts[word] = counts.get(word, 0) + 1
    return {word: math.log(1 + len(table.rows) / count) for word, count in counts.items()}


def _ordered(
    question: str, operation: Kind, table: Table, cells: Sequence[Place]
) -> list[Place]:
    """Two cells as the operation takes them: from the earlier year to the later; else as the question names them."""
    first, second = cells
    dated = [_years_in(table.columns[column]) or _years_in(table.rows[row].label) for row, column in cells]
    grows = operation in (Kind.DIFFERENCE, Kind.CHANGE)
    if all(dated) and dated[0] != dated[1]:
        forward = [first, second] if max(dated[0]) < max(dated[1]) else [second, first]
        return forward if grows else forward[::-1]
    names = [f"{table.rows[row].label} {table.columns[column]}" for row, column in cells]
    places = [_place(question, stems(name) - stems(other)) for name, other in zip(names, names[::-1], strict=True)]
    forward = [first, second] if places[0] <= places[1] else [second, first]
    return forward[::-1] if grows and not _FROM_TO.search(question) else forward


def _place(question: str, words: frozenset[str]) -> int:
    """Where the question has the first of these words; its end where it has none."""
    places = [match.start() for match in re.finditer(r"\w+", question) if header_words(match[0]) & words]
    return min(places, default=len(question))


def _share(table: Table, column: int, asked: frozenset[str]) -> float:
    """The share of a header's own words that are asked for; its years, its unit and the table's subject are not."""
    header = table.headers[column] - _years_in(table.columns[column])
    own = {word for word in header if word not in table.about and not unit_of(word)}
    return len(header & asked) / max(1, len(own))


def _years_in(text: str) -> frozenset[str]:
    return frozenset(map(str, years(text)))


def _years_asked(question: str) -> frozenset[str]:
    """The years that a question names; with "from" or "between", all from the first to the last."""
    found = sorted(years(question))
    if len(found) == 2 and _RANGE.search(question):
        return frozenset(map(str, range(found[0], found[1] + 1)))
    return frozenset(map(str, found))


def _units_asked(asked: frozenset[str], table: Table, columns: Sequence[int]) -> frozenset[str]:
    units = {table.units[at] for at in columns} - {""}
    return frozenset(word for word in asked if unit_of(word) in units)
