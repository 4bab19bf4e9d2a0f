/* mpipar.mcpi as one would write it in C with MPI, with a generator by hand: the yardstick of mcpi.py.
 *
 *     mpicc -O3 -march=native mcpi.c -o mcpi && mpirun -np 2 ./mcpi 200000000 xoshiro
 *
 * xoshiro256+ is David Blackman's and Sebastiano Vigna's, pcg64 the PCG XSL RR 128/64 of Melissa O'Neill. Each rank
 * has a generator of its own, whose seed splitmix64 makes of its number.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline double to_double(uint64_t word)
{
    return (word >> 11) * 0x1p-53;
}

static inline uint64_t xoshiro(uint64_t *s)
{
    const uint64_t result = s[0] + s[3], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = left(s[3], 45);
    return result;
}

static inline uint64_t pcg64(unsigned __int128 *state, unsigned __int128 increment)
{
    const unsigned __int128 factor = ((unsigned __int128)0x2360ed051fc65da4u << 64) | 0x4385df649fccf645u;
    *state = *state * factor + increment;
    const uint64_t folded = (uint64_t)(*state >> 64) ^ (uint64_t)*state;
    const int places = (int)(*state >> 122);
    return (folded >> places) | (folded << (-places & 63));
}

static long by_xoshiro(long points, uint64_t seed)
{
    uint64_t state[4];
    long hits = 0;
    for (int i = 0; i < 4; i++)
        state[i] = splitmix(&seed);
    for (long i = 0; i < points; i++) {
        const double x = to_double(xoshiro(state)), y = to_double(xoshiro(state));
        hits += x * x + y * y < 1.0;
    }
    return hits;
}

static long by_pcg64(long points, uint64_t seed)
{
    unsigned __int128 state = ((unsigned __int128)splitmix(&seed) << 64) | splitmix(&seed);
    const unsigned __int128 increment = ((unsigned __int128)splitmix(&seed) << 64) | splitmix(&seed) | 1;
    long hits = 0;
    for (long i = 0; i < points; i++) {
        const double x = to_double(pcg64(&state, increment)), y = to_double(pcg64(&state, increment));
        hits += x * x + y * y < 1.0;
    }
    return hits;
}

int main(int argc, char **argv)
{
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    const long samples = argc > 1 ? atol(argv[1]) : 100000000L;
    const int is_pcg = argc > 2 && !strcmp(argv[2], "pcg64");
    const long own = samples / size + (rank < samples % size);

    MPI_Barrier(MPI_COMM_WORLD);
    const double began = MPI_Wtime();
    long hits = is_pcg ? by_pcg64(own, rank + 1) : by_xoshiro(own, rank + 1), total = 0;
    MPI_Reduce(&hits, &total, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
    const double elapsed = MPI_Wtime() - began;

    if (rank == 0)
        printf("{\"value\": %.17g, \"elapsed\": %.6f}\n", 4.0 * total / samples, elapsed);
    MPI_Finalize();
    return 0;
}
