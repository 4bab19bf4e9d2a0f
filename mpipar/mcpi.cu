// How many random points of a square fall into its circle, as mpipar/mcpi.py has it. CUDA, and C++ but for what runs the
// threads.
//
// Each point is made of one block of Philox4x32-10, at the counter with its number: the very numbers that
// mpipar/core/philox.py gives to random((2, count)), and so the very same points.

#define THREADS 256  // in a block; mpipar/mcpi.py has the same numbers
#define POINTS 64    // of a thread

struct Words {
    unsigned int word[4];
};

// The four words of a counter. J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
static inline __device__ Words philox4x32(unsigned int c0, unsigned int c1, unsigned int c2, unsigned int c3,
                                          unsigned int k0, unsigned int k1)
{
#pragma unroll
    for (int round = 0; round < 10; round += 1) {
        unsigned long long first = 0xD2511F53ULL * c0, second = 0xCD9E8D57ULL * c2;
        c0 = (unsigned int)(second >> 32) ^ c1 ^ k0;
        c1 = (unsigned int)second;
        c2 = (unsigned int)(first >> 32) ^ c3 ^ k1;
        c3 = (unsigned int)first;
        k0 += 0x9E3779B9U;
        k1 += 0xBB67AE85U;
    }
    return Words{{c0, c1, c2, c3}};
}

// A double in [0, 1) of 53 bits.
static inline __device__ double unit_double(unsigned int low, unsigned int high)
{
    return (double)((((unsigned long long)high << 32) | low) >> 11) * 0x1p-53;
}

// Adds to *hits how many of the points from the counter ``first`` on are in the circle. Whole numbers may be added in any
// order.
extern "C" __global__ void mcpi_hits(unsigned int k0, unsigned int k1, unsigned int c2, unsigned int c3,
                                     unsigned long long first, unsigned long long points, unsigned long long *hits)
{
    __shared__ unsigned int counts[THREADS];
    unsigned long long point = (unsigned long long)blockIdx.x * (THREADS * POINTS) + threadIdx.x;
    unsigned int own = 0;
    for (int done = 0; done < POINTS && point < points; done += 1, point += THREADS) {
        unsigned long long counter = first + point;
        Words random = philox4x32((unsigned int)counter, (unsigned int)(counter >> 32), c2, c3, k0, k1);
        double x = unit_double(random.word[0], random.word[1]), y = unit_double(random.word[2], random.word[3]);
        own += x * x + y * y < 1.0;
    }
    counts[threadIdx.x] = own;
    __syncthreads();
    for (unsigned half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            counts[threadIdx.x] += counts[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0)
        atomicAdd(hits, (unsigned long long)counts[0]);
}
