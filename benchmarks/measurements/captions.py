"""Captions of pictures, at the setting of the study captions.

Drawn scenes of 32 × 32 points, read by the small convolutional encoder. Captions of the validation
split are written all at once, or one after another.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from measurements.pairs import answering
from results import Found
from trainings import epochs_of, precision, training
from turns import Turns
from unroll.tasks.captions import CaptionsDataOptions, CaptionsTask

UNIT = "pictures a second"


def measure(turns: Turns, data: Any, options: Any, variants: Mapping[str, Any]) -> Iterator[Found]:
    """Yield training and captioning of each variant."""
    scenes = CaptionsTask(CaptionsDataOptions.model_validate(data)).prepare()
    for name, own in variants.items():
        one = training("captions", scenes, **{**options, **own})
        steps, size = epochs_of(one), one.objective.batch_size
        train = {f"unroll, {precision()}": lambda steps=steps, size=size: size * steps()}
        yield turns.compared(f"training {name}", UNIT, train)
        yield turns.compared(f"captioning with {name}", UNIT, answering(one, scenes))
