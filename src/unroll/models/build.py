"""From options and a vocabulary to a model."""

from unroll.config import CorpusOptions, PairsOptions, VariantOptions
from unroll.data.pairs import BLANK
from unroll.data.vocabulary import Vocabulary
from unroll.models.language_model import LanguageModel
from unroll.models.seq2seq import Seq2Seq

Model = Seq2Seq | LanguageModel


def build(options: VariantOptions, vocabulary: Vocabulary) -> Model:
    """Return a model of this shape, its parameters not drawn yet."""
    if isinstance(options, PairsOptions):
        return Seq2Seq(options, len(vocabulary), vocabulary.ids[BLANK])
    assert isinstance(options, CorpusOptions)
    return LanguageModel(options, len(vocabulary))


def count_parameters(model: Model) -> int:
    """Return the number of trained parameters; a shared matrix counts once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
