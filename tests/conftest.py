"""What several rooms' tests share."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
# Threads of torch wait asleep, not spinning: tiny models leave them waiting most of the time. Beside other work on two
# cores 13 tests of the training loop took 12 s of CPU, and more than 62 s without it. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import hypothesis

# how long an example takes says how busy the machine is, not whether it is right
hypothesis.settings.register_profile("folio", deadline=None)
hypothesis.settings.load_profile("folio")
