"""The variants of the grounded network. Importing this module makes models.common.checkpoint.open_model open them all.

Each variant is a subclass of GroundedForCausalLM, and its checkpoints are known by their model_type.
"""

from __future__ import annotations

from models.systems import mixture_of_experts, sparse_attention, state_space  # noqa: F401 - each registers one
