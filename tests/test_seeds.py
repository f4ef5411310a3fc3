import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unroll.seeds import derive, numpy_generator, torch_generator

seeds = st.integers(min_value=0, max_value=2**40)
names = st.lists(st.text('ab/",[] ö') | st.text())


def test_derived_seeds_never_change():
    assert derive(0) == 7520536977032167579
    assert derive(1984, "addition", "questions") == 7868611066170975592
    assert derive(0, "Größe", "日") == 8596437651725268145


@given(seed=seeds, names=names)
def test_derived_seed_fits_63_bits(seed, names):
    assert 0 <= derive(seed, *names) < 2**63


@given(seed=seeds, first=names, second=names)
def test_different_names_give_different_seeds(seed, first, second):
    assert (derive(seed, *first) == derive(seed, *second)) == (first == second)


@given(first=seeds, second=seeds)
def test_different_seeds_give_different_seeds_of_the_same_name(first, second):
    assert (derive(first, "init") == derive(second, "init")) == (first == second)


def test_seed_and_name_do_not_run_into_each_other():
    assert derive(1, "2") != derive(12)
    assert derive(1, "ab", "c") != derive(1, "a", "bc")
    assert derive(1, "a/b") != derive(1, "a", "b")


def test_numpy_generator_repeats_itself_and_differs_by_name():
    numbers = numpy_generator(3, "a").integers(0, 1000, 20)
    assert np.array_equal(numbers, numpy_generator(3, "a").integers(0, 1000, 20))
    assert not np.array_equal(numbers, numpy_generator(3, "b").integers(0, 1000, 20))
    assert not np.array_equal(numbers, numpy_generator(4, "a").integers(0, 1000, 20))


def test_torch_generator_repeats_itself_and_differs_by_name():
    numbers = torch.rand(20, generator=torch_generator(3, "a"))
    assert torch.equal(numbers, torch.rand(20, generator=torch_generator(3, "a")))
    assert not torch.equal(numbers, torch.rand(20, generator=torch_generator(3, "b")))
    assert not torch.equal(numbers, torch.rand(20, generator=torch_generator(4, "a")))


def test_generators_leave_the_global_ones_alone():
    np.random.seed(7)
    torch.manual_seed(7)
    expected = np.random.rand(), torch.rand(1).item()
    np.random.seed(7)
    torch.manual_seed(7)
    numpy_generator(1, "x").random(5)
    torch.rand(5, generator=torch_generator(1, "x"))
    assert (np.random.rand(), torch.rand(1).item()) == expected


def test_taking_from_one_generator_does_not_move_another():
    alone = numpy_generator(5, "b").random(3)
    first, second = numpy_generator(5, "a"), numpy_generator(5, "b")
    first.random(100)
    assert np.array_equal(second.random(3), alone)
