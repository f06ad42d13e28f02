"""How well answers are said: `python -m bench.statements DATA [--count N] [--each]`.

Free: FeTaQA's development part, a sentence from the highlighted cells (which are given, as in training), against the
human one: sacreBLEU, ROUGE-L, and content words that neither question nor cells have. Strict, as the product says it:
development questions with their short answers: how many are said, how long that takes, and content words that neither
question nor answer has, which must be none. Needs requirements-systems.txt.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from models.training.question_sets import read_qa
from models.training.statements import table_statements
from models.writer.beam import WIDTH
from models.writer.decoder import Decoder
from models.writer.prompt import END, prompt
from models.writer.vocabulary import content_words, unsupported
from models.writer.writer import open_writer

STRICT = ("squad11_dev_rest", "squad2_dev", "covidqa", "qed_nq", "policyqa")
LONGEST_ANSWER, LONGEST_PROMPT, LONGEST = 700, 200, 70  # characters, tokens, tokens


def freely(decoder: Decoder, ids: list[int]) -> str:
    """The likeliest sentence that a beam finds where every token may follow."""
    end = decoder.tokenizer.token_to_id(END)
    step, live, done = decoder.read(ids), [((), 0.0)], []
    for _ in range(LONGEST):
        totals = np.array([total for _, total in live])[:, None] + step.log_probabilities
        best = np.argsort(-totals, axis=None)[: 2 * WIDTH]
        found = [(*divmod(int(at), totals.shape[1]), float(totals.flat[at])) for at in best]
        done += [(total / (len(live[row][0]) + 1), live[row][0]) for row, token, total in found if token == end]
        going = [one for one in found if one[1] != end][:WIDTH]
        if len(done) >= WIDTH:
            break
        live = [((*live[row][0], token), total) for row, token, total in going]
        step = decoder.extend(step, [row for row, _, _ in going], [token for _, token, _ in going])
    best_ids = max(done)[1] if done else live[0][0]
    return decoder.tokenizer.decode(list(best_ids)).strip()


def free(decoder: Decoder, data: Path, count: int) -> str:
    import sacrebleu
    from rouge_score.rouge_scorer import RougeScorer

    rows = list(table_statements(data / "qa" / "dev" / "fetaqa.jsonl.gz"))[:count]
    prompts = [prompt(row.question, row.answer[:LONGEST_ANSWER]) for row in rows]
    said = [freely(decoder, decoder.tokenizer.encode(one).ids[-LONGEST_PROMPT:]) for one in prompts]
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    rouge = statistics.mean(scorer.score(row.text, one)["rougeL"].fmeasure for row, one in zip(rows, said, strict=True))
    bleu = sacrebleu.corpus_bleu(said, [[row.text for row in rows]]).score
    new = sum(len(unsupported(one, row.question, row.answer)) for row, one in zip(rows, said, strict=True))
    share = new / sum(len(content_words(one)) for one in said)
    scores = f"sacreBLEU {bleu:.1f}, ROUGE-L {rouge:.3f}"
    return f"fetaqa, free, {len(rows)}: {scores}, unsupported content words {share:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=60, help="questions of each set; FeTaQA has 255")
    parser.add_argument("--each", action="store_true", help="print every strict statement")
    options = parser.parse_args()
    writer = open_writer()
    for name in STRICT:
        rows = [row for row in read_qa(options.data / "qa" / "dev" / f"{name}.jsonl.gz") if row.span]
        said, new, times = 0, 0, []
        for row in rows[:: max(1, len(rows) // options.count)][: options.count]:
            began = time.perf_counter()
            statement = writer.say(row.question, row.span.text, row.context)
            times.append(time.perf_counter() - began)
            if statement:
                said += 1
                new += len(unsupported(statement.text, row.question, row.span.text))
                if options.each:
                    print(f"{statement.score:.2f}  {row.question}  [{row.span.text}]  {statement.text}")
        median = statistics.median(times)
        print(f"{name}, strict: {said} of {len(times)} said, {new} unsupported content words, {median:.2f} s median")
    print(free(writer.decoder, options.data, options.count))


if __name__ == "__main__":
    main()
