// The yardsticks of compare.py: pi and pi by Monte Carlo as one writes them by hand, and what the GPU's arithmetic can do.

#define THREADS 256

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

// The sum of 4/(1 + x^2) over all steps: a division for each, a loop over the grid, one number for each block of threads.
extern "C" __global__ void rival_pi(long long steps, double *sums)
{
    double h = 1.0 / (double)steps, own = 0.0;
    long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < steps; i += stride) {
        double x = ((double)i + 0.5) * h;
        own += 4.0 / (1.0 + x * x);
    }
    double sum = sum_of_threads(own);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

// The same with four sums for each thread, and no conversion of whole numbers in its loop.
extern "C" __global__ void rival_pi_unrolled(long long steps, double *sums)
{
    double h = 1.0 / (double)steps, own[4] = {0.0, 0.0, 0.0, 0.0};
    long long stride = (long long)gridDim.x * blockDim.x, i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    double y = (double)i + 0.5, apart = (double)stride;
    for (; i + 3 * stride < steps; i += 4 * stride, y += 4.0 * apart)
#pragma unroll
        for (int k = 0; k < 4; k += 1) {
            double x = (y + k * apart) * h;
            own[k] += 4.0 / (1.0 + x * x);
        }
    for (; i < steps; i += stride, y += apart) {
        double x = y * h;
        own[0] += 4.0 / (1.0 + x * x);
    }
    double sum = sum_of_threads((own[0] + own[1]) + (own[2] + own[3]));
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

// The same with a division for two steps.
extern "C" __global__ void rival_pi_halved(long long steps, double *sums)
{
    double h = 1.0 / (double)steps, own[2] = {0.0, 0.0};
    long long stride = (long long)gridDim.x * blockDim.x, i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    double y = (double)i + 0.5, apart = (double)stride;
    for (; i + 3 * stride < steps; i += 4 * stride, y += 4.0 * apart)
#pragma unroll
        for (int k = 0; k < 2; k += 1) {
            double one = (y + 2 * k * apart) * h, other = (y + (2 * k + 1) * apart) * h;
            double below_one = 1.0 + one * one, below_other = 1.0 + other * other;
            own[k] += 4.0 * (below_one + below_other) / (below_one * below_other);
        }
    for (; i < steps; i += stride, y += apart) {
        double x = y * h;
        own[0] += 4.0 / (1.0 + x * x);
    }
    double sum = sum_of_threads(own[0] + own[1]);
    if (threadIdx.x == 0)
        sums[blockIdx.x] = sum;
}

struct Point {
    double x, y;
};

// Two random numbers by Philox4x32-10.
static inline __device__ Point random_point(unsigned int c0, unsigned int c1, unsigned int c2, unsigned int seed)
{
    unsigned int c3 = 0, k0 = seed, k1 = 0;
#pragma unroll
    for (int round = 0; round < 10; round += 1) {
        unsigned long long p = 0xD2511F53ULL * c0, q = 0xCD9E8D57ULL * c2;
        c0 = (unsigned int)(q >> 32) ^ c1 ^ k0;
        c1 = (unsigned int)q;
        c2 = (unsigned int)(p >> 32) ^ c3 ^ k1;
        c3 = (unsigned int)p;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    return Point{(double)((((unsigned long long)c1 << 32) | c0) >> 11) * 0x1p-53,
                 (double)((((unsigned long long)c3 << 32) | c2) >> 11) * 0x1p-53};
}

// Points in the circle, each at the counter with its number.
extern "C" __global__ void rival_mcpi(unsigned int seed, long long points, unsigned long long *hits)
{
    unsigned long long own = 0;
    long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < points; i += stride) {
        Point point = random_point((unsigned int)i, (unsigned int)(i >> 32), 0, seed);
        own += point.x * point.x + point.y * point.y < 1.0;
    }
    atomicAdd(hits, own);
}

// The same with a sequence of counters for each thread, in 32 bits, four at a time.
extern "C" __global__ void rival_mcpi_unrolled(unsigned int seed, long long points, unsigned long long *hits)
{
    unsigned int thread = blockIdx.x * blockDim.x + threadIdx.x, stride = gridDim.x * blockDim.x, own = 0;
    unsigned int count = (unsigned int)((points - thread + stride - 1) / stride);
#pragma unroll 4
    for (unsigned int i = 0; i < count; i += 1) {
        Point point = random_point(i, 0, thread, seed);
        own += point.x * point.x + point.y * point.y < 1.0;
    }
    atomicAdd(hits, (unsigned long long)own);
}

// Eight chains of fma in each thread, which depend on nothing else: what the units can do at most.
extern "C" __global__ void fma_rate(double a, double b, long long rounds, double *results)
{
    double x[8];
    for (int chain = 0; chain < 8; chain += 1)
        x[chain] = (double)(threadIdx.x + chain);
    for (long long round = 0; round < rounds; round += 1)
        for (int chain = 0; chain < 8; chain += 1)
            x[chain] = fma(x[chain], a, b);
    results[(unsigned long long)blockIdx.x * blockDim.x + threadIdx.x] =
        ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}
