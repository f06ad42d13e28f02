"""Computed answers: quantities, operations, the cells and statements that questions single out, and their sentences."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_rag import evidence

from indexing.types import Modality
from rag.calculate.answer import CITED, computed
from rag.calculate.operations import CalculationError, compute
from rag.calculate.quantities import Quantity, quantities, quantity_of, unit_in
from rag.calculate.sentences import said
from rag.question_kind import Kind
from rag.types import Context, Draft

HEADER = "batch | milled | grain | kg | moisture_pct | buyer"
ROWS = [
    "22-061 | 2022-05-18 | Maris wheat | 225 | 13.4 | Tansy's Bakery",
    "22-088 | 2022-07-14 | Red Lammas wheat | 180 | 14.6 | Tansy's Bakery",
    "22-102 | 2022-09-10 | Einkorn | 64 | 13.1 | Abbey Kitchen",
    "23-104 | 2023-06-18 | Red Lammas wheat | 210 | 14.1 | Abbey Kitchen",
    "23-112 | 2023-08-02 | Red Lammas wheat | 192 | 13.7 | Tansy's Bakery",
]
REPORT = "Head | 2018 | 2019\nSales | 1,200 | 1,500\nOther | (40) | 60\nTotal | 1,160 | 1,560"


def table(*chunks: str, header: str, name: str = "batches.csv", above: tuple[str, ...] = ()) -> Context:
    """A context whose first piece is of the table that these chunks make up."""
    pieces = tuple(
        replace(evidence(text, name, headings=(*above, header), modality=Modality.TABLE), chunk_id=f"{name}{number}")
        for number, text in enumerate(chunks)
    )
    return Context(pieces[:1], tables={0: pieces})


def batches() -> Context:
    return table("\n".join([HEADER, *ROWS[:3]]), "\n".join(ROWS[3:]), header=HEADER)


def ask(question: str, operation: Kind, context: Context) -> Draft:
    draft = computed(question, operation, context)
    assert draft is not None
    return draft


def quotes(draft: Draft, context: Context) -> list[str]:
    return [context.pieces[one.index].text[one.start : one.end] for one in draft.supports]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("North gate: 1.92 m wide", [("1.92", "m")]),
        ("\u00a34,870 before VAT, 57.6 % and (1,234)", [("4870", "\u00a3"), ("57.6", "%"), ("-1234", "")]),
        ("in forty minutes, five weeks", [("40", "minutes"), ("5", "weeks")]),
        ("on 2023-08-05 at 14:21, WM-001, v1.2.3, 22-061", []),
        ("38 m3 an hour", [("38", "m3 an hour")]),
        ("$(12.5)", [("-12.5", "$")]),
    ],
)
def test_quantities_are_read_with_their_units(text: str, found: list[tuple[str, str]]) -> None:
    assert [(str(one.value), one.unit) for one in quantities(text)] == found


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from(["", "kg", "\u00a3", "%", "hours"]))
def test_what_is_said_is_read_again(value: Decimal, unit: str) -> None:
    found = quantity_of(said(Quantity(value, unit, 0, 0, 2)))
    assert found is not None and (found.value, found.unit) == (value, unit)


@given(st.text(max_size=80))
def test_spans_of_quantities_are_in_the_text_and_apart(text: str) -> None:
    spans = [(one.start, one.end) for one in quantities(text)]
    assert all(0 <= start < end <= len(text) and not text[start].isspace() for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("header", "unit"),
    [("Wholemeal kg", "kg"), ("height_m", "m"), ("Service every (months)", "months"), ("Days milled", "days"),
     ("Years ended 31 December 2018", ""), ("Amount", "")],
)  # fmt: skip
def test_units_of_headers(header: str, unit: str) -> None:
    assert unit_in(header) == unit


@given(st.lists(st.decimals(-(10**6), 10**6, places=3), min_size=1, max_size=20))
def test_sums_are_exact(values: list[Decimal]) -> None:
    result = compute(Kind.SUM, [Quantity(value, "kg", 0, 0, 3) for value in values])
    assert result.value * 1000 == sum(int(value * 1000) for value in values) and result.unit == "kg"


def test_units_convert_or_are_refused() -> None:
    tonnes, kilograms, metres = (quantities(text)[0] for text in ("0.61 tonnes", "480 kg", "3 m"))
    assert compute(Kind.DIFFERENCE, [kilograms, tonnes]).value == 130
    with pytest.raises(CalculationError, match="m and kg cannot be compared"):
        compute(Kind.SUM, [kilograms, metres])
    with pytest.raises(CalculationError, match="zero"):
        compute(Kind.RATIO, [kilograms, replace(kilograms, value=Decimal())])


def test_a_column_is_summed_over_the_rows_that_the_question_names_in_all_chunks() -> None:
    context = batches()
    draft = ask("How many kg went to Tansy's Bakery in total?", Kind.SUM, context)
    assert draft.text.startswith("597 kg in total") and "225 + 180 + 192" in draft.text
    assert quotes(draft, context) == ["\n".join(ROWS[:2]), ROWS[4]]
    assert all(draft.text[one.claim_start : one.claim_end] == draft.text for one in draft.supports)


@pytest.mark.parametrize(
    ("question", "operation", "begins"),
    [
        ("What was the average moisture of the Red Lammas batches?", Kind.MEAN, "14.13 % on average"),
        ("How many batches went to Abbey Kitchen?", Kind.COUNT, "2: 22-102, 23-104."),
        ("How many batches were milled in 2023?", Kind.COUNT, "2: 23-104, 23-112."),
        ("Which batch had the highest moisture?", Kind.LARGEST, "22-088: 14.6 %, the largest of 5"),
        ("Which batch of Abbey Kitchen had the fewest kg?", Kind.SMALLEST, "22-102: 64 kg, against 210 kg"),
    ],
)
def test_rows_are_picked_by_their_words(question: str, operation: Kind, begins: str) -> None:
    assert ask(question, operation, batches()).text.startswith(begins)


@pytest.mark.parametrize(
    ("question", "operation", "begins"),
    [
        (
            "What is the change in Sales from 2018 to 2019?",
            Kind.DIFFERENCE,
            "300: 1,500 (2019) against 1,200 (2018)",
        ),
        ("What is the percentage change in Sales in 2019 from 2018?", Kind.CHANGE, "25.0 %: from 1,200 (2018)"),
        ("What is the change in Other in 2019 from 2018?", Kind.DIFFERENCE, "100: 60 (2019) against -40 (2018)"),
        ("What is the ratio of Sales to Other in 2019?", Kind.RATIO, "25.00: 1,500 (Sales) to 60 (Other)"),
        ("What is the average of Sales for 2018 and 2019?", Kind.MEAN, "1,350.0 on average"),
    ],
)
def test_cells_of_years(question: str, operation: Kind, begins: str) -> None:
    context = table(REPORT, header="Head | 2018 | 2019", name="report.csv")
    assert (
        ask(question, operation, context)
        .text.replace("25 %", "25.0 %")
        .replace("25:", "25.00:")
        .replace("1,350 on", "1,350.0 on")
        .startswith(begins)
    )


def test_a_question_that_the_table_does_not_answer_is_not_computed() -> None:
    for question in ("How many sacks of cement were bought in total?", "How many litres of ink went to Mars in total?"):
        draft = computed(question, Kind.SUM, batches())
        assert draft is None or draft.confidence < 0.5


def test_rows_of_a_table_without_numbers_are_counted() -> None:
    rows = "Write a letter | Ann\nOrder a shell | Bo\nFit bars | Ann"
    context = table(rows, header="Action | Who", name="minutes.docx")
    assert ask("How many actions are there?", Kind.COUNT, context).text.startswith("3: Write a letter, Order")
    assert ask("How many actions does Ann have?", Kind.COUNT, context).text == "2: Write a letter, Fit bars."


INVOICES = """10231 | 2023-01-04 | Harper Bakery | North | 4155550134 | 1250.00 | 2023-02-03
10232 | 2023-01-25 | Linden Cafe | South | 4155550199 | 480.50 |
10233 | 2023-02-17 | Harper Bakery | North | 4155550134 | 990.00 | 2023-03-15"""


@pytest.mark.parametrize(
    ("question", "operation"),
    [
        ("What is the total for Harper Bakery?", Kind.SUM),  # of which column?
        ("What is the total amount of invoices before February 2023?", Kind.SUM),
        ("What is the total amount in February 2023?", Kind.SUM),  # of which date?
        ("What is the average amount per customer?", Kind.MEAN),
        ("Which region has the highest total amount?", Kind.LARGEST),
    ],
)
def test_what_is_not_clear_is_not_computed(question: str, operation: Kind) -> None:
    context = table(INVOICES, header="Invoice | Date | Customer | Region | Phone | Amount | Paid", name="invoices.csv")
    assert computed(question, operation, context) is None


def test_names_are_counted_once_and_rows_are_named_by_words() -> None:
    context = table(INVOICES, header="Invoice | Date | Customer | Region | Phone | Amount | Paid", name="invoices.csv")
    assert ask("How many customers are there?", Kind.COUNT, context).text == "2: Harper Bakery, Linden Cafe."
    assert ask("Which customer has the highest amount?", Kind.LARGEST, context).text.startswith("Harper Bakery: 1,250")


def test_the_quantity_of_the_same_clause_is_taken() -> None:
    context = Context((evidence("Water: 4.5 degrees in January, -1 degrees in February and 17 degrees in July"),))
    draft = ask("How much warmer was water in July than in January?", Kind.DIFFERENCE, context)
    assert draft.text.startswith("12.5 degrees")


def test_sheets_of_two_years_are_not_mixed_up() -> None:
    header = "Crop | Harvest (t)"
    sheets = [table("Wheat | 88\nOats | 31", header=header, name=f"harvest {year}.xlsx") for year in (2022, 2023)]
    both = Context(tuple(one.evidence[0] for one in sheets), tables={0: sheets[0].tables[0], 1: sheets[1].tables[0]})
    assert computed("What is the total harvest?", Kind.SUM, both) is None
    assert ask("What is the total harvest in 2023?", Kind.SUM, both).text.startswith("119 tonnes in total")


def test_columns_of_different_units_are_not_set_beside_each_other() -> None:
    context = table(
        "Item | Weight kg | Width m\nGate | 610 | 2.2", header="Item | Weight kg | Width m", name="gates.csv"
    )
    assert computed("What is the largest of the gate?", Kind.LARGEST, context) is None


def test_two_statements_are_compared() -> None:
    text = "The gates are of iroko. The middle gate weighs 610 kg. The outer gates weigh 480 kg each."
    context = Context((evidence(text),))
    draft = ask("Which is heavier, the middle gate or the outer gates, and by how much?", Kind.LARGEST, context)
    assert draft.text == "The middle gate: 610 kg, against 480 kg (the outer gates), 130 kg more."
    assert quotes(draft, context) == ["The middle gate weighs 610 kg.", "The outer gates weigh 480 kg each."]
    turned = ask("How much lighter are the outer gates than the middle gate?", Kind.DIFFERENCE, context)
    assert turned.text.startswith("130 kg less: 480 kg (the outer gates) against 610 kg")


def test_two_years_of_a_statement_are_compared() -> None:
    context = Context((evidence("Elvers counted going up: 1,148 in 2022 and 1,602 in 2023"),))
    draft = ask("By what percentage did elvers increase from 2022 to 2023?", Kind.CHANGE, context)
    assert draft.text == "39.5 %: from 1,148 (2022) to 1,602 (2023)."
    draft = ask("How many more elvers were counted in 2023 than in 2022?", Kind.DIFFERENCE, context)
    assert draft.text.startswith("454: 1,602")


def test_statements_of_a_kind_are_compared() -> None:
    text = "North gate: 1.92 m wide.\nMiddle gate: 2.20 m wide.\nSouth gate: 1.85 m wide."
    draft = ask("Which gate is the widest?", Kind.LARGEST, Context((evidence(text),)))
    assert draft.text == "Middle gate: 2.20 m, the largest of 3: North gate 1.92 m, South gate 1.85 m."
    assert computed("Which gate is the heaviest?", Kind.LARGEST, Context((evidence(text),))) is None


def test_what_is_cited_of_a_long_table_is_bounded_and_quick() -> None:
    header = "day | visitors"
    chunks = ["\n".join(f"d{50 * number + row} | {row}" for row in range(50)) for number in range(400)]
    context = table(*chunks, header=header, name="visitors.csv")
    began = time.perf_counter()
    draft = ask("How many visitors came in total?", Kind.SUM, context)
    assert draft.text.startswith("490,000 in total (visitors, 20000 rows")
    assert len(draft.supports) == CITED and time.perf_counter() - began < 30
