"""Training on replies: as on pairs, followed by how likely the right ones are to the model."""

import numpy as np

from unroll.evaluation.texts import reference_losses
from unroll.training.pairs import PairsObjective


class RepliesObjective(PairsObjective):
    """Cross entropy of the reply's symbols; validation is the perplexity of held-out replies."""

    def validate(self) -> dict[str, float]:
        """Return the perplexity of the replies of the validation split."""
        losses, counts = reference_losses(
            self.model, self.pairs, "valid", self.options.padding, self.machine.device
        )
        return {"valid_perplexity": float(np.exp(losses.sum() / counts.sum()))}
