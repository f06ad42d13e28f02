"""python -m models.systems.evaluate: models.training.evaluate for all variants, and with `--attention sparse`."""

from __future__ import annotations

from collections.abc import Sequence

from models.common import command_line
from models.systems import attention_flags, variants  # noqa: F401 - so that open_model knows the variants
from models.training import evaluate


def main(arguments: Sequence[str] | None = None) -> None:
    evaluate.main(arguments, attention_flags, "models.systems.evaluate")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
