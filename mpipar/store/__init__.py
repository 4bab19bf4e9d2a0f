"""What is kept: HDF5 files. Imports mpipar.core and mpipar.runtime."""
