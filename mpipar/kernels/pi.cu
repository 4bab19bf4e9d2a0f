// The sum of 1/(n^2 + y^2) over the steps of a block, as mpipar/pi.py has it. CUDA, and C++ but for what runs the threads.
//
// A block of threads sums a tile of neighbouring steps, each thread every 256th pair of them; a second kernel sums the
// tiles. Sizes and order of all sums are fixed, whatever the GPU: so is each bit of the result. No atomic operation
// adds floating-point numbers, and every fma is written out (the compiler makes none: -fmad=false).

#define THREADS 256  // in a block; mpipar/kernels/pi.py has the same numbers
#define PAIRS 512    // that a thread sums

// Lengths, in a unit that makes n at least 1 and less than 2, so that products of many stay in range.
struct Lengths {
    double offset;               // of the block's first step from 0
    double step_high, step_low;  // a step's length, to twice the digits of a double
    double n2;                   // n^2 + u^2/4, where u is a step as it would be if n were exactly the number of steps
    double u2, n2u2;             // u^2, and the product of both; u is a power of two
};

struct Quotient {
    double top, bottom;
};

// The two neighbours y = c -+ u/2 of a pair share one division: with s = n^2 + c^2 + u^2/4 they are 2s / (s^2 - u^2 c^2).
// This is half of that.
static inline __device__ Quotient half_of_pair(double c, const Lengths &lengths)
{
    double s = fma(c, c, lengths.n2);
    return Quotient{s, fma(s, s - lengths.u2, lengths.n2u2)};
}

static inline __device__ Quotient sum_of(Quotient one, Quotient other)
{
    return Quotient{fma(one.top, other.bottom, other.top * one.bottom), one.bottom * other.bottom};
}

// The sum for four pairs, the first with its middle at c. A division is slow: many pairs share one.
static inline __device__ Quotient halves_of_four(double c, double apart, const Lengths &lengths)
{
    return sum_of(sum_of(half_of_pair(c, lengths), half_of_pair(c + apart, lengths)),
                  sum_of(half_of_pair(c + 2.0 * apart, lengths), half_of_pair(c + 3.0 * apart, lengths)));
}

static inline __device__ Quotient halves_of_eight(double c, double apart, const Lengths &lengths)
{
    return sum_of(halves_of_four(c, apart, lengths), halves_of_four(c + 4.0 * apart, apart, lengths));
}

// The middle of a pair; odd is 1, 3, 5, ...
static inline __device__ double middle(double odd, const Lengths &lengths)
{
    return fma(odd, lengths.step_high, fma(odd, lengths.step_low, lengths.offset));
}

// The sum over the threads of a block, in the first of them: halves are added until one number is left.
static inline __device__ double sum_of_threads(double own)
{
    __shared__ double sums[THREADS];
    sums[threadIdx.x] = own;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    return sums[0];
}

// The sum of the halves of pairs over each tile.
extern "C" __global__ void pi_tiles(double offset, double step_high, double step_low, double n2, double u2,
                                    long long pairs, double *tiles)
{
    const Lengths lengths = {offset, step_high, step_low, n2, u2, n2 * u2};
    long long first = (long long)blockIdx.x * (THREADS * PAIRS) + threadIdx.x;
    long long left = (pairs - first + THREADS - 1) / THREADS;  // of every 256th pair from the first on
    int own = left > PAIRS ? PAIRS : left > 0 ? (int)left : 0;
    double odd = 2.0 * (double)first + 1.0, apart = 2.0 * THREADS * step_high;
    double sum = 0.0;
    int done = 0;
    for (; done + 8 <= own; done += 8) {
        Quotient eight = halves_of_eight(middle(odd, lengths), apart, lengths);
        sum += eight.top / eight.bottom;
        odd += 16.0 * THREADS;
    }
    for (; done < own; done += 1) {
        Quotient last = half_of_pair(middle(odd, lengths), lengths);
        sum += last.top / last.bottom;
        odd += 2.0 * THREADS;
    }
    sum = sum_of_threads(sum);
    if (threadIdx.x == 0)
        tiles[blockIdx.x] = sum;
}

// The sum over a block in steps, not in the unit of the tiles: twice that of its tiles, and the step that has no
// neighbour. For one block of threads.
extern "C" __global__ void pi_total(const double *tiles, long long count, double u2, double odd_one, double *total)
{
    double own = 0.0;
    for (long long tile = threadIdx.x; tile < count; tile += THREADS)
        own += tiles[tile];
    double sum = sum_of_threads(own);
    if (threadIdx.x == 0)
        *total = fma(2.0 * u2, sum, odd_one);
}
