// Points in the circle by cuRAND's Philox4x32-10, a sequence of it for each thread: a yardstick of compare.py.

#include <curand_kernel.h>

extern "C" __global__ void rival_curand(unsigned int seed, long long points, unsigned long long *hits)
{
    long long stride = (long long)gridDim.x * blockDim.x, thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    curandStatePhilox4_32_10_t state;
    curand_init(seed, thread, 0, &state);
    unsigned int own = 0;
    for (long long i = thread; i < points; i += stride) {
        double2 point = curand_uniform2_double(&state);
        own += point.x * point.x + point.y * point.y < 1.0;
    }
    atomicAdd(hits, (unsigned long long)own);
}
