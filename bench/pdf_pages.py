"""Pages a second of born-digital PDFs, with tables, figures and boxes, beside PDFium's text alone: `python bench/pdf_pages.py PDF...`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pypdfium2 as pdfium

from indexing.loaders.pdf import pdf_document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    began = time.perf_counter()
    documents = [document for path in options.files for document in pdf_document.load(path, lambda: None)]
    middle = time.perf_counter()
    for path in options.files:
        for page in pdfium.PdfDocument(path):
            page.get_textpage().get_text_range()
    end = time.perf_counter()
    pages = sum(len(document.pages) for document in documents)
    print(f"{pages} pages: {pages / (middle - began):.1f} a second; PDFium's text alone {pages / (end - middle):.1f}")


if __name__ == "__main__":
    main()
