"""Functions that use data and constants of the script."""

from multiprocessing import Pool

GENOME = "ACGTTGCAACGGTTAACCGATCGATTGACCAGT" * 20
WINDOW = 60
WEIGHTS = {"A": 1, "C": 2, "G": 3, "T": 4}
threshold = 0.4


def content(start):
    window = GENOME[start : start + WINDOW]
    return (window.count("G") + window.count("C")) / len(window)


def score(start):
    return sum(WEIGHTS[letter] for letter in GENOME[start : start + WINDOW])


def is_rich(start):
    return content(start) > threshold


if __name__ == "__main__":
    threshold = 0.5
    WEIGHTS["T"] = 0
    starts = range(0, len(GENOME) - WINDOW, 25)
    with Pool(2) as pool:
        print([round(value, 3) for value in pool.map(content, starts)])
        print(pool.map(score, starts))
        print("rich:", sum(pool.map(is_rich, starts)), "of", len(starts))
