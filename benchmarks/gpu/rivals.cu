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

// Points in the circle, by Philox4x32-10 at the counter with the number of each point.
extern "C" __global__ void rival_mcpi(unsigned int seed, long long points, unsigned long long *hits)
{
    unsigned long long own = 0;
    long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < points; i += stride) {
        unsigned int c0 = (unsigned int)i, c1 = (unsigned int)(i >> 32), c2 = 0, c3 = 0, k0 = seed, k1 = 0;
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
        double x = (double)((((unsigned long long)c1 << 32) | c0) >> 11) * 0x1p-53;
        double y = (double)((((unsigned long long)c3 << 32) | c2) >> 11) * 0x1p-53;
        own += x * x + y * y < 1.0;
    }
    atomicAdd(hits, own);
}

// Eight chains of fma (or of divisions) in each thread, which depend on nothing else: what the units can do at most.
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

extern "C" __global__ void division_rate(double a, double b, long long rounds, double *results)
{
    double x[8];
    for (int chain = 0; chain < 8; chain += 1)
        x[chain] = b + (double)(threadIdx.x + chain);
    for (long long round = 0; round < rounds; round += 1)
        for (int chain = 0; chain < 8; chain += 1)
            x[chain] = a / x[chain];
    results[(unsigned long long)blockIdx.x * blockDim.x + threadIdx.x] =
        ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}
