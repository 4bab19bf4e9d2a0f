"""Processes behind an event loop: coroutines wait for what an executor computes."""

import asyncio
import concurrent.futures


def digits(n):
    return len(str(3**n))


async def main():
    loop = asyncio.get_running_loop()
    with concurrent.futures.ProcessPoolExecutor() as executor:
        one = await loop.run_in_executor(executor, digits, 10)
        many = await asyncio.gather(
            *(loop.run_in_executor(executor, digits, n) for n in range(0, 500, 50))
        )
    print(one, many)


if __name__ == "__main__":
    asyncio.run(main())
