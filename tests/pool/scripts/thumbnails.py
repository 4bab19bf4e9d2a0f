"""Small grey copies of all images in a folder: thumbnails.py FOLDER."""

import sys
from multiprocessing import Pool
from pathlib import Path

from PIL import Image, ImageOps

SIZE = (32, 32)


def make_images(folder):
    folder.mkdir()
    for i in range(6):
        image = Image.new("RGB", (80 + 10 * i, 60), (40 * i, 255 - 40 * i, 128))
        image.paste((255, 255, 255), (10, 10, 30, 30))
        image.save(folder / f"picture {i}.png")


def thumbnail(path):
    with Image.open(path) as image:
        small = ImageOps.grayscale(image)
    small.thumbnail(SIZE)
    target = path.with_name(f"{path.stem} small.png")
    small.save(target)
    return target.name, small.size


if __name__ == "__main__":
    folder = Path(sys.argv[1]) / "pictures"
    make_images(folder)
    with Pool() as pool:
        for name, size in pool.imap(thumbnail, sorted(folder.glob("*.png"))):
            print(name, size)
    for path in sorted(folder.glob("* small.png")):
        with Image.open(path) as image:
            print(path.name, image.mode, sum(image.tobytes()))
