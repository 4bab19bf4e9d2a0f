// Σ 1/(n² + y²) over the steps of a block, as mpipar/pi.py has it. CUDA, and C++ but for what runs the threads.
//
// A block of threads sums a tile of neighbouring steps, each thread every 256th pair of them; a second kernel sums the
// tiles. Sizes and order of all sums are fixed, whatever the GPU: so is each bit of the result. No atomic operation
// adds floating-point numbers, and every fma is written out (the compiler makes none: -fmad=false).

#define THREADS 256  // in a block; mpipar/pi.py has the same numbers
#define PAIRS 128    // that a thread sums

// The two neighbours y = c ∓ ½ of a pair share one division: with s = n² + c² + ¼ they are 2s / (s² − c²); here half of
// that. n2 is n² + ¼.
static inline __device__ double half_of_pair(double c, double n2)
{
    double s = fma(c, c, n2);
    return s / fma(s, s, -(c * c));
}

// The middle of a pair. odd is 1, 3, 5, …; unit_high + unit_low is the length of a step, to twice the digits of a double.
static inline __device__ double middle(double odd, double offset, double unit_high, double unit_low)
{
    return fma(odd, unit_high, fma(odd, unit_low, offset));
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

// The sum of half_of_pair over each tile.
extern "C" __global__ void pi_tiles(double offset, double unit_high, double unit_low, double n2, long long pairs,
                                    double *tiles)
{
    long long first = (long long)blockIdx.x * (THREADS * PAIRS) + threadIdx.x;
    long long left = (pairs - first + THREADS - 1) / THREADS;  // of every 256th pair from the first on
    int own = left > PAIRS ? PAIRS : left > 0 ? (int)left : 0;
    double odd = 2.0 * (double)first + 1.0;
    double sum0 = 0.0, sum1 = 0.0, sum2 = 0.0, sum3 = 0.0;  // four chains of divisions at a time, to hide their latency
    int done = 0;
    for (; done + 4 <= own; done += 4) {
        sum0 += half_of_pair(middle(odd, offset, unit_high, unit_low), n2);
        sum1 += half_of_pair(middle(odd + 2.0 * THREADS, offset, unit_high, unit_low), n2);
        sum2 += half_of_pair(middle(odd + 4.0 * THREADS, offset, unit_high, unit_low), n2);
        sum3 += half_of_pair(middle(odd + 6.0 * THREADS, offset, unit_high, unit_low), n2);
        odd += 8.0 * THREADS;
    }
    for (; done < own; done += 1) {
        sum0 += half_of_pair(middle(odd, offset, unit_high, unit_low), n2);
        odd += 2.0 * THREADS;
    }
    double sum = sum_of_threads((sum0 + sum1) + (sum2 + sum3));
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
