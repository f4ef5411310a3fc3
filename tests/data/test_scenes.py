"""Drawn scenes: what can be said of them is checked against the things that are in them."""

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.toys import few_examples
from unroll.data import scenes
from unroll.data.scenes import (
    COLOURS,
    HELD_OUT,
    NUMBERS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    draw_scene,
    read_scene,
)

NAMES = [" ".join(of) for of in product(SIZES, COLOURS, SHAPES)]


def plural(name: str) -> str:
    return f"{name}es" if name.endswith("cross") else f"{name}s"


EVERY = [
    *(f"a {name} {place}" for name in NAMES for place in PLACES),
    *(f"{number} {plural(name)}" for name in NAMES for number in NUMBERS.values()),
    *(f"a {a} {relation} a {b}" for a, b in permutations(NAMES, 2) for relation in RELATIONS),
]
OF_ONE_NAME = [f"a {name} {relation} a {name}" for name in NAMES for relation in RELATIONS]


def true_of(scene: Scene) -> set[str]:
    """Return all that is true of a scene, found from its things: the rules stand here again."""
    found = set()
    at = [(t.name, round(1000 * t.x), round(1000 * t.y)) for t in scene.things]  # in thousandths
    named = {"in the middle": (500, 500)}
    for (down, y), (across, x) in product(
        (("top", 220), ("bottom", 780)), (("left", 220), ("right", 780))
    ):
        named[f"in the {down} {across} corner"] = (x, y)
    for name, x, y in at:
        for place, (there_x, there_y) in named.items():
            if abs(x - there_x) <= 90 and abs(y - there_y) <= 90:
                found.add(f"a {name} {place}")
    for name, count in Counter(name for name, *_ in at).items():
        if count in (2, 3, 4):
            found.add(f"{['two', 'three', 'four'][count - 2]} {plural(name)}")
    for (name, x, y), (other, other_x, other_y) in permutations(at, 2):
        right, down = other_x - x, other_y - y
        if abs(down) > abs(right):
            found.add(f"a {name} {'above' if down > 0 else 'below'} a {other}")
        if abs(right) > abs(down):
            found.add(f"a {name} {'left of' if right > 0 else 'right of'} a {other}")
    return found


def said_of(scene: Scene, captions: list[str]) -> set[str]:
    return {caption for caption in captions if scene.is_true(caption)}


def drawn(count: int, held_out: bool = False, seed: int = 0) -> list[Scene]:
    random = np.random.default_rng(seed)
    return [draw_scene(random, held_out) for _ in range(count)]


SEEN, NEW = drawn(100), drawn(30, held_out=True)


def sort(scene: Scene) -> str:
    if len(scene.things) == 1:
        return "one"
    return "alike" if len({t.name for t in scene.things}) == 1 else "two"


@pytest.mark.parametrize("found", [SEEN, NEW], ids=["seen", "new"])
def test_the_captions_of_a_drawn_scene_are_true_of_it(found):
    assert {sort(scene) for scene in found} == {"one", "alike", "two"}
    for scene in found:
        captions = scene.captions()
        assert len(captions) == (2 if sort(scene) == "two" else 1)
        assert set(captions) <= true_of(scene) & set(EVERY)
        assert all(scene.is_true(caption) for caption in captions)


@pytest.mark.parametrize("kind", ["one", "alike", "two"])
def test_of_all_captions_those_are_true_that_the_things_make_true(kind):
    for scene in [scene for scene in SEEN if sort(scene) == kind][:3]:
        expected = true_of(scene)
        assert expected
        assert said_of(scene, [*EVERY, *OF_ONE_NAME]) == expected


def test_of_several_things_all_can_be_said_that_is_so():
    """Not alone what a scene was made to show."""
    scene = Scene(
        (
            Thing("small", "red", "circle", 0.2, 0.2),
            Thing("small", "red", "circle", 0.5, 0.75),
            Thing("large", "blue", "cross", 0.8, 0.25),
        )
    )
    assert said_of(scene, [*EVERY, *OF_ONE_NAME]) == {
        "a small red circle in the top left corner",
        "a large blue cross in the top right corner",
        "two small red circles",
        "a small red circle left of a large blue cross",
        "a large blue cross right of a small red circle",
        "a small red circle below a large blue cross",  # the other one of them
        "a large blue cross above a small red circle",
        "a small red circle above a small red circle",  # another one; nothing is above itself
        "a small red circle below a small red circle",
    }


def test_what_stands_slantwise_is_neither_above_nor_beside():
    pair = (Thing("small", "red", "circle", 0.35, 0.35), Thing("large", "red", "cross", 0.7, 0.7))
    assert said_of(Scene(pair), EVERY) == {"a large red cross in the bottom right corner"}


@pytest.mark.parametrize(
    ("x", "y", "there"),
    [(0.5, 0.589, True), (0.411, 0.5, True), (0.589, 0.411, True),
     (0.5, 0.591, False), (0.409, 0.5, False), (0.589, 0.409, False)],
)  # fmt: skip
def test_a_thing_is_in_a_place_up_to_its_edge_and_not_beyond(x, y, there):
    scene = Scene((Thing("small", "red", "circle", x, y),))
    assert scene.is_true("a small red circle in the middle") is there


words = st.sampled_from(sorted({word for caption in EVERY for word in caption.split()}))
captions = st.one_of(
    st.text(max_size=30),
    st.lists(words, max_size=10).map(" ".join),
    st.sampled_from(EVERY),
    st.builds(lambda one, other: f"{one} {other}", st.sampled_from(EVERY), words),
)


@few_examples
@given(scene=st.sampled_from([*SEEN, *NEW]), caption=captions, cut=st.booleans())
def test_any_other_words_are_true_only_where_they_are_such_a_caption(scene, caption, cut):
    said = [caption, *(own.rsplit(" ", 1)[0] if cut else f"{own} {caption}"
                       for own in scene.captions())]  # fmt: skip
    for text in said:
        assert scene.is_true(text) == (text in true_of(scene))


RUBBISH = [
    *("", " ", "a", "true", "<unk>", "a a a", "two", "above", "a small red circle"),
    "small red circle in the top left corner",
    "A small red circle in the top left corner",
    "a small red circle in the top left corner.",
    "a small red circle in the top left",
    "a red small circle in the top left corner",
    "a red circle in the top left corner",
    "the small red circle in the top left corner",
    "a small red circle in the top left corner in the top left corner",
    *("two small red circle", "2 small red circles", "one small red circle", "two red circles"),
    *("two small red circleses", "two circles", "two small red", "a two small red circles"),
    "a small red circle above",
    "a small red circle above a",
    "a small red circle above small red circle",
    "a small red circle above a small red circle above a small red circle",
    "above a small red circle",
]
TWO = read_scene("small red circle (0.220, 0.220); small red circle (0.250, 0.700)")


def test_rubbish_is_true_of_nothing():
    assert TWO.is_true("a small red circle in the top left corner")
    assert TWO.is_true("two small red circles")
    assert TWO.is_true("a small red circle above a small red circle")
    assert [text for text in RUBBISH if TWO.is_true(text) or Scene(()).is_true(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "two small redcircles",
        "two  small red circles",
        "two small red  circles",
        "a  small red circle in the top left corner",
        "a small red circle  in the top left corner",
    ],
)
def test_captions_with_other_blanks_are_rubbish(text):
    assert not TWO.is_true(text)


@pytest.mark.parametrize("found", [SEEN, NEW], ids=["seen", "new"])
def test_a_scene_is_read_as_it_was_written(found):
    for scene in found:
        assert read_scene(str(scene)) == scene


numbers = st.integers(0, 1000).map(lambda number: number / 1000)
things = st.builds(
    Thing, st.sampled_from([*SIZES]), st.sampled_from([*COLOURS]), st.sampled_from(SHAPES),
    numbers, numbers,
)  # fmt: skip


@few_examples
@given(st.lists(things, max_size=5))
def test_any_scene_is_read_as_it_was_written(made):
    scene = Scene(tuple(made))
    assert read_scene(str(scene)) == scene


def test_a_scene_is_written_so_that_people_can_read_it():
    assert str(TWO) == "small red circle (0.220, 0.220); small red circle (0.250, 0.700)"
    assert read_scene("no scene at all") == Scene(())


def test_a_text_with_a_number_that_is_none_is_no_scene():
    assert read_scene("small red circle (0.2.2, 0.3)") == Scene(())


def test_combinations_that_are_held_out_are_shown_only_where_they_are_asked_for():
    seen = {(t.shape, t.colour) for scene in SEEN for t in scene.things}
    assert not seen & HELD_OUT
    for shape, colour in HELD_OUT:  # each of their parts is seen
        assert shape in {of for of, _ in seen} and colour in {of for _, of in seen}
    for scene in NEW:
        assert {(t.shape, t.colour) for t in scene.things} & HELD_OUT
    assert {(t.shape, t.colour) for scene in NEW for t in scene.things} >= HELD_OUT
    assert all(scene.is_held_out for scene in NEW) and not any(s.is_held_out for s in SEEN)


def test_more_than_five_thousand_captions_can_be_said():
    kinds = len(SIZES) * len(COLOURS) * len(SHAPES)
    count = kinds * len(PLACES) + kinds * len(NUMBERS) + kinds * (kinds - 1) * len(RELATIONS)
    assert len(EVERY) == len(set(EVERY)) == count == 12_768
    for caption in EVERY[::7]:  # each of them of some scene
        assert scene_of(caption).is_true(caption)


def scene_of(caption: str) -> Scene:
    """Return a scene of which a caption is true."""
    for place, (x, y) in PLACES.items():
        if caption.endswith(place):
            return Scene((thing(caption.split()[1:4], x, y),))
    for number, word in NUMBERS.items():
        if caption.startswith(f"{word} "):
            *name, last = caption.split()[1:]
            shape = next(shape for shape in SHAPES if plural(shape) == last)
            return Scene(tuple(thing([*name, shape], 0.2 * i, 0.5) for i in range(number)))
    one, other = caption.split()[1:4], caption.split()[-3:]
    x, y = {"above": (0.5, 0.8), "below": (0.5, 0.2), "left": (0.8, 0.5), "right": (0.2, 0.5)}[
        caption.split()[4]
    ]
    return Scene((thing(one, 0.5, 0.5), thing(other, x, y)))


def thing(name: list[str], x: float, y: float) -> Thing:
    return Thing(*name, x=x, y=y)


def test_things_lie_apart_and_inside_the_picture():
    for scene in [*SEEN, *NEW]:
        for t in scene.things:
            edge = SIZES[t.size] - 0.01  # a third of a pixel, where there are 32
            assert edge <= t.x <= 1 - edge and edge <= t.y <= 1 - edge
        for a, b in permutations(scene.things, 2):
            assert np.hypot(a.x - b.x, a.y - b.y) >= scenes.APART - 0.002  # they are rounded


# Pixels


def random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("size", [16, 32, 33, 64])
def test_pictures_are_bytes_of_the_size_that_is_asked_for(size):
    picture = SEEN[0].draw(size, random())
    assert (picture.shape, picture.dtype) == ((3, size, size), np.uint8)
    assert picture.flags.c_contiguous


def nearest_colour(point: np.ndarray) -> str:
    distances = {n: np.abs(point - np.array(of)).max() for n, of in COLOURS.items()}
    return min(distances, key=distances.get)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_the_middle_of_a_thing_has_its_colour(size, shape):
    middle = 16.5 / 32  # that of a pixel
    for colour, value in COLOURS.items():
        picture = Scene((Thing(size, colour, shape, middle, middle),)).draw(32, random())
        point = picture[:, 16, 16].astype(int)
        assert np.abs(point - value).max() <= 40, colour  # paint and noise
        assert nearest_colour(point) == colour
        assert picture[:, 0, 0].min() > 200  # the ground is nearly white


def test_each_thing_of_a_scene_is_where_it_is_said_to_be():
    """Across is x, down is y."""
    for scene in SEEN[:40]:
        picture = scene.draw(64, random()).astype(int)
        for t in scene.things:
            assert nearest_colour(picture[:, int(t.y * 64), int(t.x * 64)]) == t.colour, str(scene)
    corner = Scene((Thing("large", "black", "square", 0.78, 0.22),)).draw(32, random())
    dark = np.argwhere(corner.max(axis=0) < 128)
    assert dark[:, 0].max() < 16 and dark[:, 1].min() > 15  # rows above, columns at the right


@pytest.mark.parametrize("shape", SHAPES)
def test_a_large_thing_is_larger_and_as_wide_as_its_size_says(shape):
    found = {}
    for size, half in SIZES.items():
        picture = Scene((Thing(size, "black", shape, 0.5, 0.5),)).draw(64, random())
        rows, columns = np.nonzero(picture.max(axis=0) < 128)
        found[size] = len(rows)
        for of in (rows, columns):
            assert 0.7 * 2 * half * 64 <= np.ptp(of) + 1 <= 2 * half * 64 + 2
    assert found["large"] > 2 * found["small"]


def test_no_two_shapes_are_drawn_alike():
    painted = {
        shape: Scene((Thing("large", "black", shape, 0.5, 0.5),)).draw(64, random()).max(0) < 128
        for shape in SHAPES
    }
    for one, other in permutations(painted.values(), 2):
        assert (one != other).sum() > 20


def test_the_generator_decides_and_no_two_pictures_are_alike():
    scene, one = SEEN[0], random()
    first, second = scene.draw(32, one), scene.draw(32, one)
    np.testing.assert_array_equal(first, scene.draw(32, random()))
    assert (first != second).any()
    assert drawn(5) == drawn(5) != drawn(5, seed=1)
