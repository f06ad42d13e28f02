"""python -m models.systems.train: models.training.train for all variants of the network.

It takes what models.training.train takes, and besides: `--preset mamba` (a decoder of state-space layers, begun from a
trained model), `--attention sparse`, and as `--start` what models.systems.upcycle wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.common import command_line
from models.systems import attention_flags
from models.training import train

NAMES = (*train.NAMES, "mamba")  # of models.systems.presets


def main(arguments: Sequence[str] | None = None) -> None:
    options = train.parser("models.systems.train", NAMES, attention_flags).parse_args(arguments)
    from models.systems.presets import PRESETS

    train.run(options, PRESETS, attention_flags.given(options))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
