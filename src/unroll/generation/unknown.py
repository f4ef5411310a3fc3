"""Unknown symbols of an answer, replaced by what attention looked at when they were written.

After Jean et al., 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation",
section 4: names are the same in many languages, and a model that does not know a word knows where
it stands.
"""

from collections.abc import Sequence

from torch import Tensor

from unroll.data.pairs import PairsForm
from unroll.data.sequences import Sequences
from unroll.data.vocabulary import JOINER
from unroll.errors import UserError
from unroll.evaluation.attention import looks_of
from unroll.models.seq2seq import Seq2Seq


def replaced(
    model: Seq2Seq,
    questions: Sequence[str],
    sources: Sequences,
    symbols: Tensor,
    form: PairsForm,
    padding: str,
) -> list[str]:
    """Return answers (N, T') as texts, with symbols of the questions where they have `<unk>`.

    Raises:
        UserError: the model has no attention, knows of no unknown symbols, or reads characters and
            writes words.
    """
    unknown = form.answers.special.get("unknown")
    if unknown is None:
        raise UserError("replace_unknown: this model has no symbol for the unknown")
    if form.source.unit == "character" != form.answers.unit:
        raise UserError("replace_unknown: sources are characters, of which none is a word")
    looks = looks_of(model, sources, symbols, form, padding, "cpu")
    if not looks:
        raise UserError("replace_unknown: this model has no attention to tell where it looks")
    joined, texts = form.answers.unit == "token", []
    for question, look in zip(questions, looks, strict=True):
        read = [s if joined else s.strip(JOINER) for s in form.source.split(question)]
        written = [
            read[min(weights.argmax(), len(read) - 1)] if symbol == unknown else None
            for symbol, weights in zip(look.answer, look.weights, strict=True)
        ]
        texts.append(form.answers.text([form.answers.ids[s] for s in look.answer], written))
    return texts
