"""Images as arguments and results of tasks: each is blurred, rotated and compared."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
from PIL import Image, ImageFilter


def gradient(width, height):
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(((3 * rows + 5 * columns) % 256).astype(np.uint8))


def change(image, angle):
    return image.filter(ImageFilter.BoxBlur(2)).rotate(angle, expand=True)


def mean(array):
    return round(float(array.mean()), 6)


if __name__ == "__main__":
    images = [gradient(100 + 20 * i, 90) for i in range(4)]
    with ProcessPoolExecutor() as executor:
        changed = list(executor.map(change, images, [0, 90, 180, 270]))
        means = list(executor.map(mean, map(np.asarray, changed)))
    for image, value in zip(changed, means, strict=True):
        print(image.size, image.mode, value)
