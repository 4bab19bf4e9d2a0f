from multiprocessing import Value

total = Value("i", 0)
