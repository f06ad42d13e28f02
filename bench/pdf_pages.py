"""Pages a second of born-digital PDFs, with tables, figures and boxes, beside PDFium's text alone.

    python -m bench.pdf_pages PDF... [--json]
"""

from __future__ import annotations

import time
from pathlib import Path

import pypdfium2 as pdfium

from bench.common import parser_of, report
from indexing.loaders.pdf import pdf_document


def main() -> None:
    parser = parser_of("pdf_pages", __doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="PDF")
    options = parser.parse_args()
    began = time.perf_counter()
    documents = [document for path in options.files for document in pdf_document.load(path, lambda: None)]
    middle = time.perf_counter()
    for path in options.files:
        for page in pdfium.PdfDocument(path):
            page.get_textpage().get_text_range()
    end = time.perf_counter()
    pages = sum(len(document.pages) for document in documents)
    rates = {"pages a second": pages / (middle - began), "PDFium's text alone": pages / (end - middle)}
    report(parser, options, {"pages": pages, **rates})


if __name__ == "__main__":
    main()
