"""Drawn scenes and what can be said of them: shapes, colours, sizes, places, counts, relations.

    a small red circle in the top left corner
    three large blue squares
    a small green cross above a large yellow triangle

A scene is written as a text that names its things and where they are, so that whether a caption is
true can be found by looking at the scene, and not at the words of other captions.
"""

import re
from dataclasses import dataclass
from itertools import permutations

import numpy as np

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "red": (214, 39, 40), "green": (44, 140, 44), "blue": (31, 80, 200), "yellow": (240, 200, 30),
    "purple": (140, 60, 170), "orange": (250, 130, 20), "black": (25, 25, 25),
}  # fmt: skip
SIZES = {"small": 0.1, "large": 0.165}  # half of the width of a thing, where a picture's is 1
NUMBERS = {2: "two", 3: "three", 4: "four"}
PLACES = {
    "in the top left corner": (0.22, 0.22),
    "in the top right corner": (0.78, 0.22),
    "in the bottom left corner": (0.22, 0.78),
    "in the bottom right corner": (0.78, 0.78),
    "in the middle": (0.5, 0.5),
}
RELATIONS = {"above": (0, 1), "below": (0, -1), "left of": (1, 0), "right of": (-1, 0)}
# What is never shown in train: of each pair the shape and the colour are seen, with others.
HELD_OUT = {("circle", "blue"), ("square", "red"), ("triangle", "green"), ("cross", "yellow")}
JITTER = 0.06
APART = 0.34  # of the middles of two things, at least
FINER = 4  # how much finer than the picture things are drawn


@dataclass(frozen=True)
class Thing:
    """Something in a picture; the picture is 1 wide and high, and y grows downward."""

    size: str
    colour: str
    shape: str
    x: float
    y: float

    @property
    def name(self) -> str:
        """What it is called: `small red circle`."""
        return f"{self.size} {self.colour} {self.shape}"

    @property
    def is_held_out(self) -> bool:
        """Whether nothing of this shape and colour is in train."""
        return (self.shape, self.colour) in HELD_OUT

    @property
    def place(self) -> str | None:
        """Where it is, if that is one of the places that have a name."""
        for place, (x, y) in PLACES.items():
            if max(abs(self.x - x), abs(self.y - y)) <= 1.5 * JITTER:
                return place
        return None


@dataclass(frozen=True)
class Scene:
    """Things in a picture."""

    things: tuple[Thing, ...]

    def __str__(self) -> str:
        return "; ".join(f"{t.name} ({t.x:.3f}, {t.y:.3f})" for t in self.things)

    @property
    def is_held_out(self) -> bool:
        """Whether it has a combination of shape and colour that is not in train."""
        return any(thing.is_held_out for thing in self.things)

    def captions(self) -> list[str]:
        """Return what the scene was made to show: of two things in both orders."""
        first, *others = self.things
        if not others:
            return [f"a {first.name} {first.place}"]
        if len({thing.name for thing in self.things}) == 1:
            return [f"{NUMBERS[len(self.things)]} {first.name}{_plural(first.shape)}"]
        return [
            f"a {one.name} {relation} a {other.name}"
            for one, other in permutations(self.things)
            for relation in RELATIONS
            if _related(one, other, relation)
        ]

    def is_true(self, caption: str) -> bool:
        """Say whether a caption is true of the scene; what is no caption is true of none."""
        names = [thing.name for thing in self.things]
        for place in PLACES:
            if name := _name(caption, "a ", f" {place}"):
                return any(t.name == name and t.place == place for t in self.things)
        for number, word in NUMBERS.items():
            for shape in SHAPES:
                if name := _name(caption, f"{word} ", f" {shape}{_plural(shape)}"):
                    return names.count(f"{name} {shape}") == number
        for relation in RELATIONS:
            one, found, other = caption.partition(f" {relation} a ")
            if found and one.startswith("a "):
                return any(
                    (a.name, b.name) == (one[2:], other) and _related(a, b, relation)
                    for a, b in permutations(self.things, 2)
                )
        return False

    def draw(self, size: int, random: np.random.Generator) -> np.ndarray:
        """Return the picture (3, S, S), no two of which are quite alike."""
        width = size * FINER
        steps = (np.arange(width) + 0.5) / width
        picture = np.full((3, width, width), float(random.integers(225, 256)))
        for thing in self.things:
            paint = np.array(COLOURS[thing.colour]) + random.integers(-20, 21, size=3)
            across, down = ((steps - at) / SIZES[thing.size] for at in (thing.x, thing.y))
            # Only the part of the picture where it may be.
            columns, rows = (np.flatnonzero(abs(of) <= 1) for of in (across, down))
            inside = _inside(thing.shape, across[columns], down[rows, None])
            part = picture[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            part[:, inside] = paint[:, None]
        small = picture.reshape(3, size, FINER, size, FINER).mean(axis=(2, 4))
        noisy = small + random.normal(0, 4, small.shape)
        return np.asarray(noisy.round().clip(0, 255), dtype=np.uint8)


def read_scene(text: str) -> Scene:
    """Return the scene that was written so by `str`."""
    pattern = r"(\w+) (\w+) (\w+) \((\d+\.\d+), (\d+\.\d+)\)"
    return Scene(
        tuple(Thing(s, c, f, float(x), float(y)) for s, c, f, x, y in re.findall(pattern, text))
    )


def draw_scene(random: np.random.Generator, held_out: bool) -> Scene:
    """Return a scene of one of three sorts, with a combination that is held out, or without."""
    while True:
        make = (_alone, _several, _related_two)[random.integers(3)]
        scene = read_scene(str(make(random)))  # as it is written: rounded
        if scene.is_held_out == held_out:
            return scene


def _thing(random: np.random.Generator, x: float, y: float) -> Thing:
    size, colour, shape = (random.choice([*of]) for of in (SIZES, COLOURS, SHAPES))
    return Thing(str(size), str(colour), str(shape), x, y)


def _alone(random: np.random.Generator) -> Scene:
    x, y = [*PLACES.values()][random.integers(len(PLACES))]
    dx, dy = random.uniform(-JITTER, JITTER, size=2)
    return Scene((_thing(random, x + dx, y + dy),))


def _several(random: np.random.Generator) -> Scene:
    number = int(random.integers(2, len(NUMBERS) + 2))
    places: list[np.ndarray] = []
    while len(places) < number:
        place = random.uniform(0.18, 0.82, size=2)
        if all(np.linalg.norm(place - other) >= APART for other in places):
            places.append(place)
        elif random.random() < 0.05:  # there may be no room left
            places = []
    one = _thing(random, 0, 0)
    return Scene(tuple(Thing(one.size, one.colour, one.shape, x, y) for x, y in places))


def _related_two(random: np.random.Generator) -> Scene:
    dx, dy = [*RELATIONS.values()][random.integers(len(RELATIONS))]
    middle = random.uniform(0.45, 0.55, size=2)
    far = random.uniform(APART, 0.5) / 2
    shift = random.uniform(-JITTER, JITTER, size=2)  # across: neither above nor below exactly
    across = np.array([dy, dx]) * shift
    one = middle - far * np.array([dx, dy]) + across
    other = middle + far * np.array([dx, dy]) - across
    while True:
        pair = _thing(random, *one), _thing(random, *other)
        if pair[0].name != pair[1].name:
            return Scene(pair)


def _related(one: Thing, other: Thing, relation: str) -> bool:
    """Say whether a thing stands so to another one: farther in this direction than across."""
    dx, dy = RELATIONS[relation]
    along = (other.x - one.x) * dx + (other.y - one.y) * dy
    across = abs((other.x - one.x) * dy) + abs((other.y - one.y) * dx)
    return along > across


def _name(caption: str, before: str, after: str) -> str | None:
    if caption.startswith(before) and caption.endswith(after):
        return caption[len(before) : len(caption) - len(after)]
    return None


def _plural(shape: str) -> str:
    return "es" if shape == "cross" else "s"


def _inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Say which points are in a shape whose middle is 0 and whose half width is 1."""
    if shape == "circle":
        return np.asarray(x**2 + y**2 <= 1)
    if shape == "square":
        return np.asarray(np.maximum(abs(x), abs(y)) <= 0.9)
    if shape == "triangle":
        return np.asarray((y <= 0.85) & (2 * abs(x) <= y + 1.0))
    return np.asarray((np.maximum(abs(x), abs(y)) <= 1) & (np.minimum(abs(x), abs(y)) <= 0.33))
