"""Peak resident memory while 1 GB of PDF is indexed, by quarter of the run (Linux).

    python -m bench.memory [--json]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser_of, report

ROOT = Path(__file__).parents[1]
FILES, PICTURE = 100, 10_000_000  # files of one page, and bytes of the picture on it
INTERVAL = 0.1  # seconds between samples


def heavy_pdf(path: Path, number: int) -> None:
    """A page of text beside a picture of ten megabytes."""
    picture = zlib.compress(np.random.default_rng(number).integers(0, 256, PICTURE, np.uint8).tobytes(), 0)
    sentence = f"Survey sheet {number}: the shoal lies {number % 90} metres east of the buoy."
    text = f"BT /F1 12 Tf 72 720 Td ({sentence}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> /XObject << /I 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /XObject /Subtype /Image /Width 2500 /Height 4000 /ColorSpace /DeviceGray /BitsPerComponent 8 "
        b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(picture), picture),
    ]
    with path.open("wb") as file:
        file.write(b"%PDF-1.4\n")
        offsets = []
        for index, body in enumerate(objects, 1):
            offsets.append(file.tell())
            file.write(b"%d 0 obj\n%s\nendobj\n" % (index, body))
        start = file.tell()
        file.write(b"xref\n0 7\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets))
        file.write(b"trailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start)


def resident(process: int) -> float:
    """Megabytes of resident memory of a process and its children (Linux)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident(int(child)) for child in children)


def measure() -> dict[str, Any]:
    """Size of the files in GB, and the peak of each quarter of the run in MB."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "docs"
        folder.mkdir()
        for number in range(FILES):
            heavy_pdf(folder / f"sheet-{number:03}.pdf", number)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
        command = [sys.executable, "-m", "indexing", str(folder), "--index", f"{work}/index"]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        samples: list[float] = []

        def watch() -> None:
            while process.poll() is None:
                try:
                    samples.append(resident(process.pid))
                except (FileNotFoundError, ProcessLookupError):  # it ended between two samples
                    return
                time.sleep(INTERVAL)

        watcher = threading.Thread(target=watch)
        watcher.start()
        process.wait()
        watcher.join()
    return {"GB": size, "peak MB by quarter": [round(float(part.max())) for part in np.array_split(samples, 4)]}


def main() -> None:
    parser = parser_of("memory", __doc__)
    options = parser.parse_args()
    report(parser, options, measure())


if __name__ == "__main__":
    main()
