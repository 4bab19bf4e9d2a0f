"""What functions of libraries have set, at the top of a script and on the way to its pool: tasks
see it.
"""

import calendar
import codecs
import decimal
import mimetypes
import numbers
import shutil
import urllib.request
from calendar import setfirstweekday
from multiprocessing import Pool


class Unpacker:
    def __init__(self, name):
        self.name = name

    def __call__(self, *_, **__):
        return self.name


def question_mark(error):
    return "?", error.end


def found(_):
    opener = urllib.request._opener
    return (
        calendar.firstweekday(),
        "é".encode("ascii", errors="question mark"),
        isinstance(decimal.Decimal(1), numbers.Real),
        mimetypes.guess_type("a.odd"),
        mimetypes.guess_extension("odd/type"),
        [name for name, _ in shutil.get_archive_formats() if name == "odd"],
        shutil._UNPACK_FORMATS["odd"][1].name,
        opener.addheaders,
        [type(each).__name__ for each in opener.handlers[:2]],
    )


codecs.register_error("question mark", question_mark)
mimetypes.add_type("odd/type", ".odd")
with decimal.localcontext():
    numbers.Real.register(decimal.Decimal)


def main():
    opener = urllib.request.build_opener(urllib.request.HTTPHandler())
    opener.addheaders = [("User-agent", "mine")]
    urllib.request.install_opener(opener)
    setfirstweekday(calendar.SUNDAY)
    shutil.register_archive_format("odd", lambda *_, **__: "made", [("a", 1)], "mine")
    shutil.register_unpack_format("odd", [".odd"], Unpacker(name="mine"))
    with Pool(2) as pool:
        for each in pool.map(found, range(2)):
            print(*each, sep="\n")


main()
