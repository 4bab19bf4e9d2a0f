import pickle
import sys
import types

import numpy as np
import pytest

from mpipar import (
    BadInput,
    Block,
    Count,
    Each,
    Estimate,
    ExactSum,
    Histogram,
    NonNegativeInt,
    Plan,
    PositiveInt,
    driver,
    stream,
)
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
    reduction, evaluator = bound.reduction, bound.evaluator()
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
    assert pixels.arrays == ("rng",)
    assert squares.arrays == ()


def test_evaluator_passes_the_parameters():
    assert evaluate(squares.bind({"items": 20, "power": 3.0})) == sum(i**3 for i in range(20))


def test_evaluator_gives_each_block_its_own_stream():
    evaluator = pixels.bind({"width": 5}, block=4, seed=9).evaluator()
    for index in (3, 0, 2, 0):
        expected = int(stream(9, index).integers(10**6)) + 5
        assert evaluator(Block(index, index * 4, index * 4 + 4)) == expected


def no_block(): ...
def only_keywords(**options): ...
def any_keywords(block, **options): ...
def any_positionals(block, *arrays): ...
def positional_only(block, /, *, items: int = 3): ...
def only_options(*, items: int = 3): ...


@pytest.mark.parametrize(
    "function",
    [no_block, only_keywords, any_keywords, any_positionals, positional_only, only_options],
)
def test_kernel_of_another_signature_raises(function):
    with pytest.raises(TypeError, match=rf"^{function.__name__}: a kernel takes \(block, \*, …\)"):
        driver(n=lambda: 3, reduction=ExactSum)(function)


def test_n_must_be_a_parameter():
    def kernel(block, *, items: int): ...

    with pytest.raises(TypeError, match="kernel: n='item' is not one of its"):
        driver(n="item", reduction=ExactSum)(kernel)
    with pytest.raises(TypeError, match="kernel: n should be the name"):
        driver(n=9, reduction=ExactSum)(kernel)


def test_reduction_must_be_one():
    def kernel(block, *, items: int): ...

    with pytest.raises(TypeError, match="kernel: reduction must be a Reduction"):
        driver(n="items", reduction=3)(kernel)
    with pytest.raises(TypeError, match="kernel: reduction must be a Reduction, got "):
        driver(n="items", reduction=lambda items: [items])(kernel).bind({"items": 3})


def test_reduction_may_be_made_of_parameters():
    def reduction(low, high):
        return Histogram([low, high])

    @driver(n="items", reduction=reduction)
    def kernel(block, *, items: int = 1, low: float = 0.0, high: float = 1.0): ...

    assert kernel.bind({"high": 2.5}).reduction.edges.tolist() == [0.0, 2.5]
    assert kernel.bind({"low": -1.0}).reduction.edges.tolist() == [-1.0, 1.0]
    with pytest.raises(ValueError, match="Histogram needs two edges"):
        kernel.bind({"low": 1.0})


def powers(power):
    return ExactSum() if power > 1 else Each(a=ExactSum(), b=Count())


@driver(n="items", reduction=powers, block=5)
def either(block: Block, *, items: PositiveInt = 10, power: float = 2.0): ...


def test_reduction_of_parameters_is_made_anew_where_a_bound_kernel_is_sent():
    for power, kind in ((2.0, ExactSum), (1.0, Each)):
        bound = either.bind({"power": power})
        sent = pickle.loads(pickle.dumps(bound))
        assert type(sent.reduction) is type(bound.reduction) is kind
        assert sent == bound


def test_check_sees_the_parameters_before_anything_else_is_done_with_them():
    seen = []

    def items_of(low, high):
        seen.append("n")
        return high - low

    def reduction(low):
        seen.append("reduction")
        return ExactSum()

    @driver(n=items_of, reduction=reduction)
    def kernel(block, *, low: int = 0, high: int, scale: float = 1.0): ...

    @kernel.check
    def check(*, low, high):
        seen.append((low, high))
        if low > high:
            raise BadInput(f"low: expected at most {high}, got {low}")

    with pytest.raises(BadInput, match=r"^low: expected at most 2, got 3$"):
        kernel.bind({"low": 3, "high": 2})
    assert seen == [(3, 2)]
    assert kernel.bind({"high": 2}).plan.n == 2
    assert seen[1:] == [(0, 2), "n", "reduction"]
    check(low=1, high=2)


@pytest.mark.parametrize(
    ("hook", "function", "message"),
    [
        ("finish", lambda: 0, r"its finish takes \(total, \*, …\)"),
        ("finish", lambda total, other: 0, r"its finish takes \(total, \*, …\)"),
        ("finish", lambda *totals: 0, None),
        ("check", lambda items: 0, r"its check takes \(\*, …\)"),
        ("check", lambda **options: 0, r"its check takes \(\*, …\)"),
        ("check", lambda *, colour: 0, "its check takes colour, which the kernel doesn't"),
        ("enough", lambda: 0, r"its enough takes \(result, \*, …\)"),
        ("enough", lambda result, items: 0, r"its enough takes \(result, \*, …\)"),
        ("enough", lambda result, *, colour: 0, "its enough takes colour, which"),
    ],
)
def test_hooks_have_their_signatures(hook, function, message):
    @driver(n="items", reduction=ExactSum)
    def kernel(block, *, items: int = 3): ...

    if message is None:
        assert getattr(kernel, hook)(function) is function
        return
    with pytest.raises(TypeError, match=f"^kernel: {message}"):
        getattr(kernel, hook)(function)


def test_enough_is_asked_with_the_parameters_it_takes():
    @driver(n="items", reduction=ExactSum)
    def kernel(block, *, items: int = 3, limit: float | None = None): ...

    assert not kernel.bind({"limit": 1.0}).may_end_early

    @kernel.enough
    def enough(result, *, limit):
        return np.float64(result) > limit

    bound = kernel.bind({"limit": 2.0})
    assert bound.may_end_early
    assert [bound.is_enough(result) for result in (1.0, 3.0)] == [False, True]
    assert type(bound.is_enough(3.0)) is bool
    assert not kernel.bind({}).may_end_early, "one of its parameters is None"


@driver(n="items", reduction=ExactSum, block=4)
def looked_up(
    block: Block, table, rng, *, items: PositiveInt = 12, scale: float = 2.0, size: int = 5
):
    return float(table[block.start % len(table)]) + rng.random()


@looked_up.shared
def table(empty, *, size, scale):
    made = empty(size)
    made[:] = scale * np.arange(size)
    return made


def test_shared_arrays_are_made_of_parameters_and_handed_to_the_kernel():
    bound = looked_up.bind({"size": 3})
    assert bound.shared_names == ("table",)
    made = bound.make_shared("table", np.empty)
    assert made.tolist() == [0.0, 2.0, 4.0]
    evaluator = bound.evaluator({"table": made})
    for index in range(3):
        expected = made[4 * index % 3] + stream(0, index).random()
        assert evaluator(bound.plan[index]) == expected
    assert looked_up(Block(0, 1, 2), made, stream(0, 0)) == 2.0 + stream(0, 0).random()


def test_shared_array_is_named_like_the_function_that_makes_it():
    @driver(n="items", reduction=ExactSum)
    def kernel(block, tables, *, items: int = 3): ...

    with pytest.raises(
        TypeError, match="kernel: it takes no positional parameter 'table' to be shared"
    ):
        kernel.shared(table)
    for function in (lambda: 0, lambda empty, more: 0, lambda empty, *, size: 0):
        function.__name__ = "tables"
        with pytest.raises(
            TypeError, match=r"kernel: its shared array takes (\(empty, \*, …\)|size)"
        ):
            kernel.shared(function)


def test_the_generator_of_random_numbers_cannot_be_a_shared_array():
    def rng(empty): ...

    with pytest.raises(TypeError, match="rng"):
        driver(n=lambda: 3, reduction=ExactSum)(lambda block, rng: 0).shared(rng)


@pytest.mark.parametrize(
    "function", [lambda block, generator: 0, lambda block, rng, table: 0, lambda block, items: 0]
)
def test_array_that_nothing_makes_raises(function):
    kernel = driver(n=lambda: 3, reduction=ExactSum)(function)
    name = next(name for name in kernel.arrays if name != "rng")
    with pytest.raises(
        TypeError, match=rf"nothing makes its array '{name}'; decorate a function with \.shared"
    ):
        kernel.bind({})


def test_bind_fills_in_defaults_and_converts():
    bound = squares.bind({"items": np.int64(7)})
    assert bound.parameters == {"items": 7, "power": 2.0}
    assert type(bound.parameters["items"]) is int
    assert bound.plan == Plan(7, 10)
    assert bound.seed == 0


@pytest.mark.parametrize(
    ("kernel", "parameters", "options", "message"),
    [
        (squares, {"item": 3}, {}, r"squares has no parameter 'item'; did you mean items\?"),
        (squares, {"nonsense": 3}, {}, "squares has no parameter 'nonsense'; it has items, power"),
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
    bound = squares.bind({"items": 0})
    assert bound.result(bound.reduction.start()) == 0.0


def test_finish_may_not_take_what_the_kernel_lacks():
    def kernel(block, *, items: int): ...

    with pytest.raises(TypeError, match="kernel: its finish takes colour, size, which"):
        driver(n="items", reduction=Count)(kernel).finish(
            lambda total, *, items, size, colour: total
        )


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


def test_only_what_mpipar_brings_along_is_never_looked_through_for_cycles(monkeypatch):
    """A user's objects in cycles, such as an open file, end as Python has them end."""

    def own(block, *, items: PositiveInt):
        return 1.0

    main = types.SimpleNamespace(__spec__=types.SimpleNamespace(name="mpipar.pi"))
    monkeypatch.setitem(sys.modules, "__main__", main)
    own.__module__ = "__main__"
    assert driver(n="items", reduction=ExactSum)(own)._is_ours
    own.__module__ = "users_module"
    assert not driver(n="items", reduction=ExactSum)(own)._is_ours
    own.__module__ = "__main__"
    main.__spec__ = None
    assert not driver(n="items", reduction=ExactSum)(own)._is_ours
    main.__spec__ = types.SimpleNamespace(name="users_module")
    assert not driver(n="items", reduction=ExactSum)(own)._is_ours


def test_modules_in_c_of_other_libraries_are_seen(monkeypatch):
    """At the end of a process, what they made may have to end in its order."""
    import mpipar.command.driver as module

    known = {name: module for name, module in sys.modules.items() if name in ("numpy", "json")}
    monkeypatch.setattr(module.sys, "modules", known)
    assert not module._has_other_libraries()
    known["h5py._errors"] = types.SimpleNamespace(__file__="h5py/_errors.cpython-311.so")
    assert module._has_other_libraries()
