"""Loggers and records of a class of the script, which has no guard."""

import logging, sys
from multiprocessing import Pool


class Logger(logging.Logger):
    def hello(self, name):
        self.info("hello %s", name)


logging.setLoggerClass(Logger)
plain = logging.getLogRecordFactory()


def marked(*arguments, **options):
    record = plain(*arguments, **options)
    record.mark = "!"
    return record


logging.setLogRecordFactory(marked)
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(name)s: %(message)s%(mark)s")
log = logging.getLogger("script")


def f(x):
    log.hello(x)
    logging.getLogger("new").hello(x)
    return type(log).__name__, logging.getLoggerClass().__name__


with Pool(1) as pool:
    print(pool.map(f, [1]))
