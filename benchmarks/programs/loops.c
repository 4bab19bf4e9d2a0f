/* The loops of mandelbrot.py, ising.py and queens.py, with MPI: items are dealt out to the ranks in turn. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long mandelbrot(long row, long rows) {
    const long most = 1000;
    long total = 0;
    double y = 2.5 * row / rows - 1.25;
    for (long column = 0; column < rows; column++) {
        double x = 2.5 * column / rows - 2.0, a = 0.0, b = 0.0;
        long steps = 0;
        while (steps < most && a * a + b * b <= 4.0) {
            double next = a * a - b * b + x;
            b = 2.0 * a * b + y;
            a = next;
            steps++;
        }
        total += steps;
    }
    return total;
}

static signed char *spins;

static long ising(long row, long side) {
    long energy = 0;
    const signed char *here = spins + row * side, *below = spins + (row + 1) % side * side;
    for (long column = 0; column < side; column++)
        energy -= here[column] * (here[(column + 1) % side] + below[column]);
    return energy;
}

static long ways(long columns, long left, long right, long board) {
    if (columns == board) return 1;
    long count = 0, empty = board & ~(columns | left | right);
    while (empty) {
        long place = empty & -empty;
        empty ^= place;
        count += ways(columns | place, (left | place) << 1, (right | place) >> 1, board);
    }
    return count;
}

static long queens(long item, long size) {
    long first = 1L << item / size, second = 1L << item % size;
    if (second & (first | first << 1 | first >> 1)) return 0;
    return ways(first | second, (first << 1 | second) << 1, (first >> 1 | second) >> 1, (1L << size) - 1);
}

int main(int argc, char **argv) {
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    long size = atol(argv[2]), items = size, own = 0, all = 0;
    long (*loop)(long, long) = mandelbrot;
    if (!strcmp(argv[1], "queens")) {
        loop = queens;
        items = size * size;
    }
    if (!strcmp(argv[1], "ising")) {
        loop = ising;
        spins = malloc(size * size);
        srand(1);
        for (long i = 0; i < size * size; i++) spins[i] = (rand() >> 8 & 1) * 2 - 1;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    double began = MPI_Wtime();
    for (long item = rank; item < items; item += ranks) own += loop(item, size);
    MPI_Reduce(&own, &all, 1, MPI_LONG, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rank == 0) printf("{\"value\": %ld, \"elapsed\": %.9f}\n", all, MPI_Wtime() - began);
    MPI_Finalize();
    return 0;
}
