"""Ways to let a trained language model predict a text, beside reading it straight (static).

Each is a file. `METHODS` has them by the name that a params file knows.
"""

from unroll.evaluation.methods.cache import Cache
from unroll.evaluation.methods.dynamic import Dynamic, DynamicRms
from unroll.evaluation.methods.mc_dropout import McDropout
from unroll.evaluation.methods.method import Method
from unroll.evaluation.methods.temperature import Temperature

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Cache, Dynamic, DynamicRms, McDropout, Temperature)
}
