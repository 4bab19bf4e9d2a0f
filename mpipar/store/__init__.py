"""What is kept: HDF5 files."""
