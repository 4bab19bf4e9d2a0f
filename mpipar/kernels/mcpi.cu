// How many random points of a square fall into its circle, as mpipar/mcpi.py has it. CUDA, and C++ but for what runs the
// threads.
//
// Each point is made of one block of Philox4x32-10, at the counter with its number: the very numbers that
// mpipar/core/philox.py gives to random((2, count)), and so the very same points.

#define THREADS 256  // in a block; mpipar/kernels/mcpi.py has the same numbers
#define TILE 16384   // points for each of them

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

// Two words as a double in [0, 2^64) of 53 bits: 2^64 times the number in [0, 1) that they stand for.
static inline __device__ double number(unsigned int low, unsigned int high)
{
    return (double)(((unsigned long long)high << 32) | (low & 0xFFFFF800U));
}

static inline __device__ bool is_in_circle(Words random)
{
    double x = number(random.word[0], random.word[1]), y = number(random.word[2], random.word[3]);
    return x * x + y * y < 0x1p128;
}

// Adds to *hits how many of the points from the counter ``first`` on are in the circle. Whole numbers may be added in any
// order.
extern "C" __global__ void mcpi_hits(unsigned int k0, unsigned int k1, unsigned int c2, unsigned int c3,
                                     unsigned long long first, unsigned long long points, unsigned long long *hits)
{
    __shared__ unsigned int counts[THREADS];
    unsigned long long tile = (unsigned long long)blockIdx.x * TILE, left = points - tile;
    unsigned int in_tile = left < TILE ? (unsigned int)left : TILE, own = 0;
    unsigned int low = (unsigned int)(first + tile), high = (unsigned int)((first + tile) >> 32);
    if (in_tile == TILE && low <= 0xFFFFFFFFU - TILE) {
        // All counters have the same upper word: a tenth of the multiplications need not be done anew.
#pragma unroll 4
        for (unsigned int done = 0; done < TILE; done += THREADS)
            own += is_in_circle(philox4x32(low + threadIdx.x + done, high, c2, c3, k0, k1));
    } else
        for (unsigned int point = threadIdx.x; point < in_tile; point += THREADS) {
            unsigned int counter = low + point;
            own += is_in_circle(philox4x32(counter, high + (counter < low), c2, c3, k0, k1));
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
