"""Stage generate: what the language models write."""

import torch

from unroll.config import Generate, Study
from unroll.data.files import write_text
from unroll.errors import UserError
from unroll.evaluation.selection import best
from unroll.generation.sampling import Sampling
from unroll.generation.writing import as_text, encode_prompt, skipped, write
from unroll.models.build import Model
from unroll.record import Record, read_model
from unroll.seeds import torch_generator


def generate(study: Study) -> None:
    """Let the best seed of every language model continue every prompt."""
    if study.generate is None:
        raise UserError(f"{study.params_file} has no section generate")
    for variant in study.variants_of("corpus"):
        remedy = study.remedy(f"train@{variant}")
        record, model = read_model(best([study.model(variant)], remedy), remedy)
        text = "\n".join(
            f"=== {prompt}\n{sample}\n"
            for prompt in study.generate.prompts
            for sample in continuations(record, model, prompt, study.generate)
        )
        write_text(study.generated(variant), text)
        print(f"{study.generated(variant)}:\n{text}")


def continuations(record: Record, model: Model, prompt: str, options: Generate) -> list[str]:
    """Return `options.samples` texts that begin with the prompt."""
    ids = torch.tensor(encode_prompt(prompt, record.vocabulary))
    sampling = Sampling(
        options.temperature, options.top_k, options.top_p, skipped(options.skip, record.vocabulary)
    )
    generator = torch_generator(options.seed, "generate", prompt)
    written = write(model, ids, options.samples, options.length, sampling, generator)  # type: ignore[arg-type]
    return [as_text(prompt, record.vocabulary.decode(row)) for row in written.symbols.tolist()]
