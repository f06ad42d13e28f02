"""Screenshots of the web app in a real browser, for a maintainer to look at, and the hosts that the page asks.

    python -m bench.screenshots OUT [--browser /usr/bin/chromium] [--only NAMES]

Indexes data/sample and a damaged file into a temporary folder, serves the app and walks through it, on a desktop and on
a phone, light and dark. Fails if the page asks another host for anything. Needs a Chromium, and Playwright for Python,
which is not in requirements.txt (`pip install playwright`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUIET = [  # Chromium itself asks no host
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic",
]  # fmt: skip
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
QUESTIONS = {
    "pdf": "What did the thieves steal from the roof, and how much of it?",
    "scan": "How wide is the crack in the south sluice pier?",
    "picture": "What did the oakum cost on the chandler's receipt?",
    "table": "How many kg of wholemeal were milled in August 2022?",
    "text": "How wide is the south sea gate in the clear?",
    "slide": "How many elvers were counted going up in 2023?",
    "abstention": "What is the capital of Mongolia?",
}
DROPPED = """Minutes of the rowing club

The new boat is called Kittiwake. It cost 7,450 pounds and was paid for by a raffle.
"""


def ask(page: Page, question: str) -> None:
    field = page.locator(".ask textarea")
    field.fill(question)
    field.press("Enter")
    settle(page)


def settle(page: Page) -> None:
    """Wait until the last answer is complete and its pictures are drawn."""
    answered, busy = "document.querySelectorAll('.told').length", "document.querySelector('.waiting, .told .progress')"
    page.wait_for_function(f"{answered} && !{busy}")
    page.wait_for_timeout(1200)


def shots(page: Page, folder: Path) -> dict[str, Callable[[], None]]:
    """name -> what to do before its screenshot is taken."""

    def drop() -> None:
        path = folder / "rowing-club.txt"
        path.write_text(DROPPED)
        page.locator(".ask input[type=file]").set_input_files([path])
        page.wait_for_timeout(800)
        ask(page, "What is the new boat called?")

    def similar() -> None:
        picture = ROOT / "data" / "sample" / "visitors-by-year.png"
        page.locator(".ask input[type=file]").set_input_files([picture])
        page.wait_for_timeout(800)
        page.locator(".ask textarea").press("Enter")
        page.wait_for_selector(".evidence .thumbnail", timeout=60_000)
        page.wait_for_timeout(800)

    def library() -> None:
        page.get_by_role("tab", name="Library").click()
        page.wait_for_selector(".library table")
        page.wait_for_timeout(400)

    steps: dict[str, Callable[[], None]] = {"first": lambda: None}
    steps |= {name: (lambda question=question: ask(page, question)) for name, question in QUESTIONS.items()}
    return steps | {"dropped": drop, "similar": similar, "library": library}


def walk(browser: Browser, address: str, out: Path, only: str | None) -> set[str]:
    """Take all screenshots; the hosts that the pages asked."""
    hosts: set[str] = set()
    for device, (width, height) in SIZES.items():
        size = {"width": width, "height": height}
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)
            context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname or ""))
            page = context.new_page()
            page.on("pageerror", lambda error: print(f"page error: {error}"))
            with tempfile.TemporaryDirectory() as folder:
                for name, act in shots(page, Path(folder)).items():
                    if only and name not in only.split(","):
                        continue
                    page.goto(address)
                    page.wait_for_selector(".ask textarea")
                    page.wait_for_timeout(600)
                    act()
                    page.screenshot(path=out / f"{name}-{device}-{scheme}.png", full_page=device == "phone")
            context.close()
    return hosts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.screenshots", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--only", metavar="NAMES", help="only these steps, separated by commas")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from app import build_app
    from indexing.build.run import build
    from rag.pipeline import RagPipeline
    from ui.server import launch

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder, "damaged-plan.pdf")
        damaged.write_bytes(b"%PDF-1.7 cut off")
        os.chdir(ROOT)
        build(["data/sample", damaged], Path(folder, "index"))
        app = build_app(RagPipeline.from_index(Path(folder, "index")))
        address = launch(app)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.browser, args=QUIET)
            hosts = walk(browser, address, options.out, options.only)
            browser.close()
        app.close()
    print("hosts asked:", ", ".join(sorted(hosts)))
    return 0 if hosts <= {"127.0.0.1", "localhost", ""} else 1


if __name__ == "__main__":
    sys.exit(main())
