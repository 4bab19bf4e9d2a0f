// The sum of 1/(n^2 + y^2) over the steps of a block, as mpipar/pi.py has it. CUDA, and C++ but for what runs the threads.
//
// A block of threads sums a tile of neighbouring steps, each thread every 256th pair of them; a second kernel sums the
// tiles. Sizes and order of all sums are fixed, whatever the GPU: so is each bit of the result. No atomic operation
// adds floating-point numbers, and every fma is written out (the compiler makes none: -fmad=false).

#define THREADS 256  // in a block; mpipar/pi.py has the same numbers
#define PAIRS 128    // that a thread sums

// The two neighbours y = c -+ 1/2 of a pair share one division: with s = n^2 + c^2 + 1/4 they are 2s / (s^2 - c^2). Half
// of that is top / bottom; n2 is n^2 + 1/4.
struct HalfOfPair {
    double top, bottom;
};

static inline __device__ HalfOfPair half_of_pair(double c, double n2)
{
    double s = fma(c, c, n2);
    return HalfOfPair{s, fma(s, s, -(c * c))};
}

// The middle of a pair. odd is 1, 3, 5, ...; unit_high + unit_low is the length of a step, to twice the digits of a double.
static inline __device__ double middle(double odd, double offset, double unit_high, double unit_low)
{
    return fma(odd, unit_high, fma(odd, unit_low, offset));
}

// The sum for two pairs, the first with this odd number. They share one division, too: it is the slowest operation, and
// those of a thread don't overlap. The bottom is of the size of n^8, which is in the range of a double for all steps that
// can be counted in 64 bits, and far beyond.
static inline __device__ double halves_of_two(double odd, double offset, double unit_high, double unit_low, double n2)
{
    HalfOfPair one = half_of_pair(middle(odd, offset, unit_high, unit_low), n2);
    HalfOfPair other = half_of_pair(middle(odd + 2.0 * THREADS, offset, unit_high, unit_low), n2);
    return fma(one.top, other.bottom, other.top * one.bottom) / (one.bottom * other.bottom);
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
extern "C" __global__ void pi_tiles(double offset, double unit_high, double unit_low, double n2, long long pairs,
                                    double *tiles)
{
    long long first = (long long)blockIdx.x * (THREADS * PAIRS) + threadIdx.x;
    long long left = (pairs - first + THREADS - 1) / THREADS;  // of every 256th pair from the first on
    int own = left > PAIRS ? PAIRS : left > 0 ? (int)left : 0;
    double odd = 2.0 * (double)first + 1.0;
    double sum0 = 0.0, sum1 = 0.0;  // two, as errors grow with the length of a chain of sums
    int done = 0;
    for (; done + 4 <= own; done += 4) {
        sum0 += halves_of_two(odd, offset, unit_high, unit_low, n2);
        sum1 += halves_of_two(odd + 4.0 * THREADS, offset, unit_high, unit_low, n2);
        odd += 8.0 * THREADS;
    }
    for (; done < own; done += 1) {
        HalfOfPair last = half_of_pair(middle(odd, offset, unit_high, unit_low), n2);
        sum0 += last.top / last.bottom;
        odd += 2.0 * THREADS;
    }
    double sum = sum_of_threads(sum0 + sum1);
    if (threadIdx.x == 0)
        tiles[blockIdx.x] = sum;
}

// The sum over a block: twice that of its tiles, and the step that has no neighbour. For one block of threads.
extern "C" __global__ void pi_total(const double *tiles, long long count, double odd_one, double *total)
{
    double own = 0.0;
    for (long long tile = threadIdx.x; tile < count; tile += THREADS)
        own += tiles[tile];
    double sum = sum_of_threads(own);
    if (threadIdx.x == 0)
        *total = fma(2.0, sum, odd_one);
}
