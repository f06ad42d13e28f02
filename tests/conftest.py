"""What several rooms' tests share."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
import hypothesis

# how long an example takes says how busy the machine is, not whether it is right
hypothesis.settings.register_profile("folio", deadline=None)
hypothesis.settings.load_profile("folio")
