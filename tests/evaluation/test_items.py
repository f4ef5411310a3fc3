import numpy as np
import pytest

from unroll.errors import DataError
from unroll.evaluation.items import read_items, write_items

REMEDY = "run: dvc repro evaluate@v"
RIGHT, LOSSES, COUNTS = np.array([0, 1], np.uint8), np.array([1.5, 2.5]), np.array([3, 4], np.int32)


@pytest.mark.parametrize("items", [{"right": RIGHT}, {"losses": LOSSES, "counts": COUNTS}])
def test_what_is_written_is_read(tmp_path, items):
    write_items(tmp_path, items)
    found = read_items(tmp_path, REMEDY)
    assert found.keys() == items.keys()
    assert all(np.array_equal(found[name], items[name]) for name in items)


@pytest.mark.parametrize(
    ("items", "fault"),
    [
        ({"losses": LOSSES}, "holds losses"),
        ({"right": RIGHT, "confidence": LOSSES[:1]}, "different numbers of items"),
        ({"right": RIGHT + 1}, "right does not hold 0 or 1"),
        ({"right": RIGHT[None]}, "right does not hold 0 or 1"),
        ({"losses": LOSSES.astype(int), "counts": COUNTS}, "losses does not hold a number"),
        ({"losses": LOSSES, "counts": COUNTS - 3}, "counts does not hold the number of tokens"),
        ({"losses": LOSSES * np.inf, "counts": COUNTS}, "a loss is not a finite number"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_the_way_out(tmp_path, items, fault):
    write_items(tmp_path, items)
    with pytest.raises(DataError, match=rf"items\.safetensors.*{fault}.*; {REMEDY}$"):
        read_items(tmp_path, REMEDY)
