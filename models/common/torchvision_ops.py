"""Lets torchvision be imported beside a torch wheel of another build, such as a CPU wheel beside a CUDA torchvision."""

from __future__ import annotations

_LIBRARIES = []  # a definition lives as long as its Library object


def ensure_operators() -> None:
    """Define the schemas of torchvision's `nms` and `qnms` where its compiled operators do not load; else do nothing.

    Call before the first import of torchvision, transformers' image code, open_clip or sentence-transformers.
    """
    import torch

    if _LIBRARIES or hasattr(torch.ops.torchvision, "nms") or _operators_load():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)


def _operators_load() -> bool:
    """Whether torchvision's compiled operators load beside this torch. Imports no torchvision module."""
    import importlib.util
    from pathlib import Path

    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True
    for file in Path(spec.origin).parent.glob("_C*.so"):
        try:
            torch.ops.load_library(file)
        except OSError:
            return False
    return hasattr(torch.ops.torchvision, "nms")
