large, generator = None, None


def twice(x):
    return 2 * x
