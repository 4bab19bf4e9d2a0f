/* The sum of mpipar.pi as one would write it in C with MPI: the yardstick of pi.py.
 *
 *     mpicc -O3 -march=native -ffast-math pi.c -o pi && mpirun -np 2 ./pi 2000000000
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int rank, size;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    const long steps = argc > 1 ? atol(argv[1]) : 1000000000L;
    const long start = steps / size * rank + (rank < steps % size ? rank : steps % size);
    const long stop = start + steps / size + (rank < steps % size);
    const double width = 1.0 / steps;

    MPI_Barrier(MPI_COMM_WORLD);
    const double began = MPI_Wtime();
    double sum = 0.0, total = 0.0;
    for (long i = start; i < stop; i++) {
        const double x = (i + 0.5) * width;
        sum += 4.0 / (1.0 + x * x);
    }
    sum *= width;
    MPI_Reduce(&sum, &total, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    const double elapsed = MPI_Wtime() - began;

    if (rank == 0)
        printf("{\"value\": %.17g, \"elapsed\": %.6f}\n", total, elapsed);
    MPI_Finalize();
    return 0;
}
