"""python -m models.training.ship RUN/model OUT [--open L]: a trained model as a folder of shipped weights.

Large matrices become int8 levels, the rest float16; the base encoder's own word vectors are left out. What is fitted to
a reader, in data/weights/calibration.json, must be fitted again after that: python -m rag.training.fit_reader.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from models.common import command_line
from models.common.errors import WeightsError
from models.reader import shipped_weights

ROUTERS = "memory.routers."


def ship(model: Path, out: Path, opened: float = 0.0) -> None:
    """Write the weights. opened: log-odds added to every token router after its training, so that fewer tokens are
    left out; docs/training.md tells how the shipped value was chosen. Raises WeightsError.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        state = load_file(model / shipped_weights.WEIGHTS)
        config = json.loads((model / shipped_weights.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(f"{model} holds no model ({error}): give the folder `model` of a training run") from error
    biases = [name for name in state if name.startswith(ROUTERS) and name.endswith(".bias")]
    shipped_weights.save(state | {name: np.asarray(state[name] + opened) for name in biases}, config, out)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.training.ship", description=__doc__.split(": ")[1])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--open", type=float, default=0.0, metavar="L", help="log-odds added to every token router")
    options = parser.parse_args(arguments)
    return command_line.run(lambda: ship(options.model, options.out, options.open))


if __name__ == "__main__":
    raise SystemExit(main())
