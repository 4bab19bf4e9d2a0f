import pickle

import numpy as np
import pytest

from mpipar import BadInput, Block, Count, Estimate, ExactSum, NonNegativeInt, Plan, PositiveInt, driver, stream
from mpipar.core.kernel import Kernel


@driver(n="items", reduction=ExactSum, block=10)
def squares(block: Block, *, items: NonNegativeInt = 100, power: float = 2.0) -> float:
    """Sum powers.

    Parameters
    ----------
    items : int
        How many.
    """
    return float(sum(i**power for i in block))


@driver(n=lambda width, height: width * height, reduction=Count)
def pixels(block: Block, rng: np.random.Generator, *, width: int, height: int = 3) -> int:
    return int(rng.integers(10**6)) + width


def evaluate(bound):
    """Return the result of a bound kernel, as one process without any runtime would."""
    reduction, evaluator = bound.kernel.reduction, bound.evaluator()
    total = reduction.start()
    for index in range(bound.plan.n_blocks):
        block = bound.plan[index]
        total = reduction.add(total, evaluator(block), block)
    return bound.result(total)


def test_driver_is_still_its_function():
    assert squares(Block(0, 1, 4), power=1.0) == 6.0
    assert squares.__name__ == squares.name == "squares"
    assert squares.__doc__.startswith("Sum powers.")
    assert [parameter.name for parameter in squares.parameters] == ["items", "power"]


def test_kernel_wants_a_random_generator_only_if_it_takes_one():
    assert pixels.wants_rng
    assert not squares.wants_rng


def test_evaluator_passes_the_parameters():
    assert evaluate(squares.bind({"items": 20, "power": 3.0})) == sum(i**3 for i in range(20))


def test_evaluator_gives_each_block_its_own_stream():
    evaluator = pixels.bind({"width": 5}, block=4, seed=9).evaluator()
    for index in (3, 0, 2, 0):
        expected = int(stream(9, index).integers(10**6)) + 5
        assert evaluator(Block(index, index * 4, index * 4 + 4)) == expected


def no_block(): ...
def other_second(block, generator): ...
def three(block, rng, width): ...
def options_not_after_the_star(block, items: int = 3): ...
def only_keywords(**options): ...
def any_keywords(block, **options): ...


@pytest.mark.parametrize(
    "function", [no_block, other_second, three, options_not_after_the_star, only_keywords, any_keywords]
)
def test_kernel_of_another_signature_raises(function):
    with pytest.raises(TypeError, match=rf"^{function.__name__}: a kernel takes \(block, \*, …\)"):
        driver(n=lambda: 3, reduction=ExactSum)(function)


def test_n_must_be_a_parameter():
    def kernel(block, *, items: int): ...

    with pytest.raises(TypeError, match="kernel: n='item' is not one of its"):
        driver(n="item", reduction=ExactSum)(kernel)


def test_reduction_must_be_one():
    def kernel(block, *, items: int): ...

    with pytest.raises(TypeError, match="kernel: reduction must be a Reduction"):
        driver(n="items", reduction=sum)(kernel)


def test_bind_fills_in_defaults_and_converts():
    bound = squares.bind({"items": np.int64(7)})
    assert bound.parameters == {"items": 7, "power": 2.0}
    assert type(bound.parameters["items"]) is int
    assert bound.plan == Plan(7, 10)
    assert bound.seed == 0


@pytest.mark.parametrize(
    ("kernel", "parameters", "options", "message"),
    [
        (squares, {"item": 3}, {}, "squares has no parameter 'item'; it has items, power"),
        (squares, {"items": "3"}, {}, "^items: expected a whole number from 0 on"),
        (squares, {"items": -1}, {}, "^items: .*got -1"),
        (squares, {"power": None}, {}, "^power: expected a number"),
        (squares, {}, {"block": 0}, "^block: expected a whole number from 1 on"),
        (squares, {}, {"block": 1.5}, "^block: "),
        (squares, {}, {"seed": -1}, "^seed: expected a whole number from 0 on"),
        (pixels, {}, {}, "pixels needs a value for 'width'"),
        (pixels, {"width": -1}, {}, "pixels can't have -3 items"),
    ],
)
def test_bind_refuses_bad_values_and_names_them(kernel, parameters, options, message):
    with pytest.raises(BadInput, match=message):
        kernel.bind(parameters, **options)


def test_n_may_be_computed_from_parameters():
    assert pixels.bind({"width": 4}).plan.n == 12
    assert pixels.bind({"width": 2**40, "height": 2**40}).plan.n == 2**80


def test_block_size_is_the_one_asked_for_or_else_the_drivers_or_else_that_of_n():
    assert squares.bind({}, block=7).plan.block == 7
    assert squares.bind({"items": 10**9}).plan.block == 10
    assert pixels.bind({"width": 10**6}).plan == Plan.by_default(3 * 10**6)


def test_plan_does_not_depend_on_other_parameters():
    assert squares.bind({"power": 1.0}).plan == squares.bind({"power": 9.0}, seed=3).plan


def test_finish_makes_the_result_from_the_total():
    def kernel(block, *, items: PositiveInt, offset: float = 0.5): ...

    kernel = driver(n="items", reduction=Count)(kernel)

    @kernel.finish
    def mean(total, *, items):
        return Estimate(total / items, 0.25)

    assert kernel.bind({"items": 4}).result(6) == Estimate(1.5, 0.25)
    assert mean(6, items=3) == Estimate(2.0, 0.25)


def test_without_finish_the_result_is_that_of_the_reduction():
    assert squares.bind({"items": 0}).result(squares.reduction.start()) == 0.0


def test_finish_may_not_take_what_the_kernel_lacks():
    def kernel(block, *, items: int): ...

    with pytest.raises(TypeError, match="kernel: its finish takes colour, size, which"):
        driver(n="items", reduction=Count)(kernel).finish(lambda total, *, items, size, colour: total)


def test_kernel_is_pickled_by_name():
    pickled = pickle.dumps(squares)
    assert pickle.loads(pickled) is squares
    assert len(pickled) < 100


def test_bound_kernel_can_be_sent():
    sent = pickle.loads(pickle.dumps(pixels.bind({"width": 4}, block=5, seed=3)))
    assert sent.kernel is pixels
    assert (sent.parameters, sent.plan, sent.seed) == ({"width": 4, "height": 3}, Plan(12, 5), 3)


def test_kernel_that_cannot_be_found_in_its_module_cannot_be_sent():
    def hidden(block, *, items: int): ...

    with pytest.raises((pickle.PicklingError, AttributeError), match="hidden"):
        pickle.dumps(Kernel(hidden, n="items", reduction=Count))
