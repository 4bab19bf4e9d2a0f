"""How drivers compute: fast forms of π on the CPU and in CUDA, the sieve of primes, the making of
images.
"""
