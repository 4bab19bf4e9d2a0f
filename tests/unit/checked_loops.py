"""Loops of users', as plain Python has them: number theory, combinatorics, statistical physics, hashes,
pictures and tables. What each gives, and whether compiled code may refuse it.
"""

import math

import numpy as np


def collatz(n):
    most = 0
    for start in range(1, n):
        number = start
        steps = 0
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            steps += 1
        most = max(most, steps)
    return most


def factorial(n):
    result = 1
    for i in range(2, n + 1):
        result *= i
    return result


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def power_sum(n):
    total = 0
    for i in range(n):
        total += i**5
    return total


def power_modulo(base, exponent, modulus):
    result = 1
    base %= modulus
    while exponent:
        if exponent & 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return result


def binomials(n):
    row = np.zeros(n + 1, np.int64)
    row[0] = 1
    for i in range(1, n + 1):
        for j in range(i, 0, -1):
            row[j] = int(row[j]) + int(row[j - 1])
    return int(row[n // 2])


def catalan(n):
    ways = 1
    for i in range(n):
        ways = ways * 2 * (2 * i + 1) // (i + 2)
    return ways


def greatest_divisors(n):
    total = 0
    for a in range(1, n):
        for b in range(1, n):
            total += math.gcd(a, b)
    return total


def totients(n):
    total = 0
    for number in range(1, n):
        rest, result, divisor = number, number, 2
        while divisor * divisor <= rest:
            if rest % divisor == 0:
                while rest % divisor == 0:
                    rest //= divisor
                result -= result // divisor
            divisor += 1
        if rest > 1:
            result -= result // rest
        total += result
    return total


def digits(number):
    total = 0
    while number:
        number, digit = divmod(number, 10)
        total += digit
    return total


def square_root(n):
    x = n
    y = (x + 1) // 2
    while y < x:
        x = y
        y = (x + n // x) // 2
    return x


def gaps(n):
    last = 2
    widest = 0
    for number in range(3, n, 2):
        is_prime = True
        divisor = 3
        while divisor * divisor <= number:
            if number % divisor == 0:
                is_prime = False
                break
            divisor += 2
        if is_prime:
            widest = max(widest, number - last)
            last = number
    return widest


def pythagorean(n):
    count = 0
    for a in range(1, n):
        for b in range(a, n):
            square = a * a + b * b
            c = int(math.sqrt(square))
            if c * c == square:
                count += 1
    return count


def floor_and_modulo(n):
    total = 0
    for a in range(-n, n):
        for b in range(-n, n):
            if b != 0:
                total = total * 3 % 1000003 + a // b * 7 + a % b
    return total


def bits(n):
    total = 0
    for i in range(n):
        rest = i
        while rest:
            rest &= rest - 1
            total += 1
    return total


def gray_codes(n):
    total = 0
    for i in range(n):
        total = total * 5 % 99991 + (i ^ (i >> 1))
    return total


def subsets(n, size):
    mask = (1 << size) - 1
    total = 0
    while mask < 1 << n:
        total += mask % 97
        low = mask & -mask
        ripple = mask + low
        mask = ripple | ((mask ^ ripple) >> 2) // low
    return total


def partitions(n):
    ways = np.zeros(n + 1, np.int64)
    ways[0] = 1
    for part in range(1, n + 1):
        for total in range(part, n + 1):
            ways[total] += ways[total - part]
    return int(ways[n])


def knapsack(n):
    best = np.zeros(101, np.int64)
    for item in range(1, n):
        weight = item * 7 % 13 + 1
        worth = item * 11 % 17 + 1
        for room in range(100, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + worth)
    return int(best[100])


def edit_distance(n):
    a = np.arange(n) * 7 % 5
    b = np.arange(n) * 3 % 5
    row = np.arange(n + 1)
    for i in range(n):
        before = row.copy()
        row[0] = i + 1
        for j in range(n):
            cost = 0 if a[i] == b[j] else 1
            row[j + 1] = min(before[j + 1] + 1, row[j] + 1, before[j] + cost)
    return int(row[n])


def splitmix(n):
    state = np.uint64(1)
    total = np.uint64(0)
    for _ in range(n):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        z = state
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        total ^= z ^ (z >> np.uint64(31))
    return int(total >> np.uint64(1))


def xorshift(n):
    state = np.uint64(88172645463325252)
    for _ in range(n):
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
    return int(state >> 1)


def fnv(n):
    value = np.uint32(2166136261)
    for i in range(n):
        value ^= np.uint32(i % 256)
        value *= np.uint32(16777619)
    return int(value)


def adler(n):
    a, b = 1, 0
    for i in range(n):
        a = (a + i * 31 % 256) % 65521
        b = (b + a) % 65521
    return b << 16 | a


def linear_congruence(n):
    state = np.uint64(42)
    for _ in range(n):
        state = state * 6364136223846793005 + 1442695040888963407
    return int(state >> 33)


def ising_energy(n):
    spins = np.ones((n, n), np.int8)
    for i in range(n):
        for j in range(n):
            if (i * 7 + j * j) % 3 == 0:
                spins[i, j] = -1
    energy = 0
    for i in range(n):
        for j in range(n):
            energy -= int(spins[i, j]) * (int(spins[i, (j + 1) % n]) + int(spins[(i + 1) % n, j]))
    return energy


def percolation(n):
    state = 12345
    filled = 0
    for _ in range(n):
        state = (1103515245 * state + 12345) % 2147483648
        if state / 2147483648 < 0.59:
            filled += 1
    return filled


def random_walk(n):
    place = farthest = 0
    state = 1
    for _ in range(n):
        state = state * 16807 % 2147483647
        place += 1 if state & 4096 else -1
        farthest = max(farthest, abs(place))
    return farthest


def metropolis(n):
    total = 0.0
    for i in range(1, n):
        total += math.exp(-i / n) / (1 + math.log(i))
    return total


def brightest(n):
    picture = np.zeros((n, n), np.uint8)
    for i in range(n):
        for j in range(n):
            picture[i, j] = (i * 31 + j * 17) % 256
    total = 0
    most = 0
    for i in range(n):
        for j in range(n):
            value = int(picture[i, j])
            total += value
            most = max(most, value)
    return total * 256 + most


def blurred(n):
    picture = np.zeros((n, n), np.uint8)
    for i in range(n):
        for j in range(n):
            picture[i, j] = i * j % 256
    total = 0
    for i in range(1, n - 1):
        for j in range(1, n - 1):
            around = 0
            for k in range(-1, 2):
                for m in range(-1, 2):
                    around += int(picture[i + k, j + m])
            total += around // 9
    return total


def wrapped_difference(n):
    picture = np.zeros(n, np.uint8)
    for i in range(n):
        picture[i] = i * 91 % 256
    total = 0
    for i in range(n - 1):
        total += int(picture[i + 1] - picture[i])
    return total


def histogram(n):
    counts = np.zeros(10, np.int64)
    for i in range(n):
        counts[i * i % 10] += 1
    total = 0
    for i in range(10):
        total = total * 7 + int(counts[i])
    return total


def conditions(n):
    count = 0
    for i in range(n):
        count += (i % 3 == 0) and (i % 5 != 0)
        count += i > n // 2
    return count


def rounded(n):
    total = 0
    for i in range(-n, n):
        total = total * 3 % 10007 + round(i / 4) + math.floor(i / 3) + math.ceil(i / 3) + int(i / 7)
    return total


def mandelbrot(n):
    total = 0
    for i in range(n):
        x = 2.5 * i / n - 2.0
        a = b = 0.0
        steps = 0
        while steps < 50 and a * a + b * b <= 4.0:
            a, b = a * a - b * b + x, 2.0 * a * b + 0.3
            steps += 1
        total += steps
    return total


def as_doubles(n):
    total = 0
    for i in range(n):
        total += 0.5 * i
    return total


def reads(values, index):
    return values[index]


def unsigned_loop(n):
    total = 0
    for i in range(n):
        total += i - 3
    return total


def tuple_of_both(n):
    pair = (1, 2)
    if n > 2:
        pair = (0.5 * n, n)
    return pair[0] + pair[1]


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def called_twice(n):
    if n < 2:
        return n
    return called_twice(n - 1) * 3 % 1009 + called_twice(n - 2)


def bezout(a, b):
    if b == 0:
        return a, 1, 0
    divisor, x, y = bezout(b, a % b)
    return divisor, y, x - a // b * y


def halves(low, high):
    if high - low < 1e-3:
        return math.exp(-low) * (high - low)
    middle = 0.5 * (low + high)
    return halves(low, middle) + halves(middle, high)


def paths(grid, row, column, left):
    is_out = row < 0 or column < 0 or row >= grid.shape[0] or column >= grid.shape[1]
    if is_out or grid[row, column] == 1:
        return 0
    if left == 0:
        return 1
    grid[row, column] = 1
    count = paths(grid, row + 1, column, left - 1) + paths(grid, row, column + 1, left - 1)
    count += paths(grid, row - 1, column, left - 1) + paths(grid, row, column - 1, left - 1)
    grid[row, column] = 0
    return count


def avoiding_walks(n):
    return paths(np.zeros((n, n), np.int8), n // 2, n // 2, n + 2)


def recursive_factorial(n):
    if n < 2:
        return 1
    return n * recursive_factorial(n - 1)


def divides_at(depth):
    if depth == 0:
        return 1 // depth
    return divides_at(depth - 1) + 1


GOOD = [
    (ackermann, 2, 9),
    (called_twice, 20),
    (bezout, 7919 * 360, 1260 * 104729),
    (halves, 0.0, 1.0),
    (avoiding_walks, 5),
    (recursive_factorial, 20),
    (collatz, 3000),
    (factorial, 20),
    (fibonacci, 91),
    (power_sum, 1000),
    (power_modulo, 3, 10**15, 2**31 - 1),
    (binomials, 60),
    (catalan, 30),
    (greatest_divisors, 60),
    (totients, 300),
    (digits, 9876543210123456789 // 3),
    (square_root, 2**62 - 1),
    (gaps, 5000),
    (pythagorean, 100),
    (floor_and_modulo, 30),
    (bits, 5000),
    (gray_codes, 5000),
    (subsets, 16, 5),
    (partitions, 200),
    (knapsack, 60),
    (edit_distance, 30),
    (splitmix, 1000),
    (xorshift, 1000),
    (fnv, 1000),
    (adler, 1000),
    (linear_congruence, 1000),
    (ising_energy, 25),
    (percolation, 2000),
    (random_walk, 2000),
    (metropolis, 500),
    (brightest, 40),
    (blurred, 30),
    (wrapped_difference, 100),
    (histogram, 1000),
    (conditions, 1000),
    (rounded, 300),
    (mandelbrot, 40),
    (as_doubles, 1000),
    (tuple_of_both, 3),
    (tuple_of_both, 2),
    (unsigned_loop, np.uint64(5)),
]
"""What is right in compiled code: a function and its arguments."""

COUNTER = 2**70
"""More than 64 bits."""


def large_global(n):
    return n + COUNTER


def large_literal(n):
    return n + 0x10000000000000000


def unsigned_literal(n):
    mask = 0xFFFFFFFFFFFFFFFF
    return -n & mask


def doubled_unsigned_literal(n):
    mask = 0xFFFFFFFFFFFFFFFF
    return mask + mask


def may_have_none(n):
    if n > 5:
        value = 1
    return value


def after_the_loop(n):
    for i in range(n):
        last = i
    return last


def catches(n):
    total = 1
    try:
        for _ in range(n):
            total *= 3
    except Exception:
        total = 0
    return total


def set_order(n):
    digits = set()
    for i in range(n):
        digits.add(7 * i % 11 * 1000003)
    total = 0
    for digit in digits:
        total = total * 3 % 1000 + digit
    return total


def set_pop(n):
    numbers = set()
    for i in range(n):
        numbers.add(i * 1000003 % 17)
    return numbers.pop()


def sorted_by_key(n):
    pairs = [(i % 3, i) for i in range(n)]
    return sorted(pairs, key=lambda pair: pair[0])[0][1]


def inner_function(n):
    def square(x):
        return x * x

    total = 0
    for function in (square, square):
        total += function(n)
    return total


def own_random(n):
    return np.random.random() * n  # noqa: NPY002


def small_sum(n):
    values = np.full(n, 200, np.uint8)
    total = 0
    for i in range(n):
        total += values[i]
    return total


def small_sum_of_two(n):
    values = np.full(n, 100, np.int8)
    return int(values[0] + values[1])


def small_square(n):
    values = np.full(2, n, np.int32)
    return int(values[0] * values[1])


def small_best(n):
    values = np.full(n, 200, np.uint8)
    best = 0
    for i in range(n):
        if values[i] > best:
            best = values[i]
    return best + best


def small_minimum(n):
    values = np.full(n, 200, np.uint8)
    return max(values[0], 3 * n) + 1


def small_root(n):
    values = np.full(n, 2, np.uint8)
    return float(np.sqrt(values[0]))


def small_store(n):
    values = np.zeros(3, np.uint8)
    values[0] = 100 * n
    return int(values[0])


def unsigned_store(n):
    values = np.zeros(3, np.uint64)
    values[0] = -n
    return int(values[0] >> np.uint64(1))


def float_store(n):
    values = np.zeros(3, np.int64)
    values[0] = 1e19 * n
    return int(values[0])


def array_and_number(n):
    values = np.full(3, 200, np.uint8)
    return int((values + n)[0])


def single_times_double(n):
    values = np.full(3, 0.1, np.float32)
    return float(values[0] * (n / 3))


def single_and_double_compared(n):
    values = np.full(3, 0.1, np.float32)
    return bool(values[0] == n / 30)


def single_summed(n):
    values = np.full(3, 0.1, np.float32)
    total = 0.0
    for i in range(3):
        total += values[i] * values[i]
    return total * n


def unsigned_and_whole(n):
    return int(np.uint64(5) + n)


def unsigned_and_negative(n):
    return int(np.uint64(n - 10) >> np.uint64(1))


def whole_as_double(n):
    total = 0.0
    x = 2**53 + n
    for _ in range(2):
        total = x
        x = x + 0.5
    return total


def conditions_added(n):
    mask = np.ones(3, np.bool_)
    return int(mask[0] + mask[1]) * n


def opposite_condition(n):
    return ~(n > 2)


def endless_sum(n):
    return sum([2**62, 2**62, n])


def power_by_function(n):
    return pow(n, 70)


REFUSED = [
    (large_global, 3, "64 bits, got 1180591620717411303424"),
    (large_literal, 3, "64 bits, got 18446744073709551616"),
    (unsigned_literal, 3, r"write np.uint64\(18446744073709551615\)"),
    (doubled_unsigned_literal, 3, r"write np.uint64\(18446744073709551615\)"),
    (lambda x: x**-1, 3, r"write 2.0\*\*-n"),
    (may_have_none, 9, "value may have no value"),
    (after_the_loop, 9, "last may have no value"),
    (catches, 50, "try would catch"),
    (set_order, 11, "a set has another order"),
    (set_pop, 11, "a set has another order"),
    (sorted_by_key, 11, "no functions within functions"),
    (inner_function, 11, "no functions within functions"),
    (own_random, 3, "random numbers are those of rng"),
    (small_sum, 5, r"np.uint8 with a whole number"),
    (small_best, 5, "a variable is np.uint8 here"),
    (small_minimum, 90, "min and max are of numbers of one type"),
    (small_root, 5, "np.uint8 in sqrt"),
    (array_and_number, 100, "np.uint8 with a whole number"),
    (single_times_double, 100, "np.float32 with a float"),
    (single_and_double_compared, 3, "np.float32 with a float"),
    (single_summed, 3, "np.float32"),
    (unsigned_and_whole, 3, "np.uint64 with a whole number"),
    (conditions_added, 3, r"int\(…\)"),
    (opposite_condition, 3, "a condition is no number"),
    (lambda x: round(x, 2), 2.675, "rounds to digits"),
]
"""What compiled code refuses before it runs: a function, its argument, and a part of the reason."""

RAISING = [
    (lambda x: 2**70 * x, 3, OverflowError),
    (factorial, 21, OverflowError),
    (fibonacci, 93, OverflowError),
    (power_sum, 10**5, OverflowError),
    (lambda x: x + 1, 2**63 - 1, OverflowError),
    (lambda x: -x, -(2**63), OverflowError),
    (lambda x: abs(x), -(2**63), OverflowError),
    (lambda x: x // -1, -(2**63), OverflowError),
    (lambda x: divmod(x, -1)[0], -(2**63), OverflowError),
    (lambda x: x // 0, 3, ZeroDivisionError),
    (lambda x: x % 0, 3, ZeroDivisionError),
    (lambda x: 1.0 / x, 0, ZeroDivisionError),
    (lambda x: x % 0.0, 3.0, ZeroDivisionError),
    (lambda x: 1 << x, 63, OverflowError),
    (lambda x: 1 << x, 64, OverflowError),
    (lambda x: 1 << x, -1, ValueError),
    (lambda x: 1 >> x, -1, ValueError),
    (lambda x: 2**x, -1, ValueError),
    (lambda x: x**40, 3, OverflowError),
    (power_by_function, 3, OverflowError),
    (endless_sum, 3, OverflowError),
    (lambda x: int(x), math.nan, OverflowError),
    (lambda x: int(x), 1e19, OverflowError),
    (lambda x: round(x), 1e19, OverflowError),
    (lambda x: math.floor(x), math.inf, OverflowError),
    (lambda x: math.sqrt(x), -1.0, ValueError),
    (lambda x: math.log(x), 0.0, OverflowError),
    (lambda x: math.exp(x), 1000.0, OverflowError),
    (lambda x: math.sin(x), math.inf, ValueError),
    (lambda x: math.fmod(1.0, x), 0.0, ValueError),
    (lambda x: math.pow(x, 200.0), 1e10, OverflowError),
    (lambda x: x**0.5, -8.0, ValueError),
    (lambda x: x**200, 1e10, OverflowError),
    (lambda x: 0.0**x, -1.5, (ZeroDivisionError, OverflowError)),
    (lambda x: x == 2.0**53, 2**53 + 1, OverflowError),
    (lambda x: x / 3, 2**53 + 1, OverflowError),
    (whole_as_double, 1, OverflowError),
    (small_sum_of_two, 2, OverflowError),
    (small_square, 10**5, OverflowError),
    (small_store, 3, OverflowError),
    (unsigned_store, 3, OverflowError),
    (float_store, 1, OverflowError),
    (unsigned_and_negative, 3, OverflowError),
    (lambda x: np.int32(x), 2**31, OverflowError),
    (lambda x: np.uint8(x), 300.5, OverflowError),
    (recursive_factorial, 21, OverflowError),
    (recursive_factorial, 24, OverflowError),
    *((divides_at, depth, ZeroDivisionError) for depth in range(5)),
    (reads, np.zeros(3), 3, IndexError),
    (reads, np.zeros(3), -4, IndexError),
]
"""What raises in compiled code where plain Python raises, too, or has more bits."""
