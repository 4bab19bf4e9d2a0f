"""Private names of Python, cloudpickle, NumPy and Numba that mpipar leans on, and what for.

No promise holds for these. So they are listed here, a test tells whether a version has them all,
and that no others are used, and setup.cfg allows no version of cloudpickle that hasn't been tried.
"""

from __future__ import annotations

CLOUDPICKLE = {
    "cloudpickle.cloudpickle:Pickler._dynamic_function_reduce": "what a function is made of",
    "cloudpickle.cloudpickle:_extract_code_globals": "the global names that code uses",
    "cloudpickle.cloudpickle:_function_setstate": "putting attributes into a new function",
    "cloudpickle.cloudpickle:_code_reduce": "code, in which the name of its file is put back",
    "cloudpickle.cloudpickle:_make_skeleton_class": "telling classes by value; making them",
    "cloudpickle.cloudpickle:_class_setstate": "putting attributes into an enumeration",
    "cloudpickle.cloudpickle:_make_skeleton_enum": "telling enumerations by value",
    "cloudpickle.cloudpickle:_lookup_class_or_track": "classes that come twice are one",
}
"""{module and name: what for}; ``()`` stands for an object that is made of a class."""

PYTHON = {
    "abc:_get_dump": "classes that are registered with an abstract one",
    "argparse:ArgumentParser()._negative_number_matcher": "options with values such as -1e9",
    "argparse:ArgumentParser()._option_string_actions": "options like one that isn't there",
    "argparse:_ArgumentGroup": "the type of a group of options",
    "concurrent.futures.process:_RemoteTraceback": "tracebacks of tasks as those of executors",
    "concurrent.futures:Future()._done_callbacks": "whether anybody has asked to be called back",
    "ctypes:CDLL()._FuncPtr": "telling functions of a library",
    "ctypes:CDLL()._name": "the file of a library",
    "ctypes:_SimpleCData": "telling numbers in shared memory",
    "enum:Enum._member_map_": "aliases of an enumeration's members",
    "importlib.machinery:ModuleSpec()._initializing": "whether a module is being imported",
    "logging:StreamHandler()._name": "the names of handlers",
    "logging:_StderrHandler": "the handler of last resort",
    "logging:_addHandlerRef": "handlers that are flushed at the end",
    "logging:_levelToName": "the names of levels",
    "logging:_warnings_showwarning": "whether warnings are logged",
    "multiprocessing.connection:_ConnectionBase": "an import stops before it opens a connection",
    "multiprocessing.forkserver:_forkserver._forkserver_pid": "the process of the fork server",
    "multiprocessing.heap:BufferWrapper._heap._arenas": "the memory of values and arrays",
    "multiprocessing.managers:BaseManager()._authkey": "the key of a manager, for workers",
    "multiprocessing.managers:BaseManager()._serializer": "how a manager pickles, for workers",
    "multiprocessing.managers:SyncManager._registry": "what managers can make",
    "multiprocessing.process:current_process()._config": "whether a worker may have children",
    "multiprocessing.process:current_process()._identity": "the number of a worker",
    "multiprocessing.queues:Queue()._buffer": "what a queue hasn't sent yet",
    "multiprocessing.queues:Queue()._notempty._waiters": "whether its thread has nothing to do",
    "multiprocessing.queues:Queue()._thread": "the thread that sends what is in a queue",
    "multiprocessing.reduction:ForkingPickler._extra_reducers": "what is pickled otherwise",
    "multiprocessing.synchronize:Lock()._semlock": "the name of a semaphore",
    "multiprocessing.synchronize:SemLock._cleanup": "removing that name",
    "runpy:_run_module_as_main": "running a module as python -m does",
    "threading:RLock()._is_owned": "whether a thread has a lock",
    "threading:_register_atexit": "ending executors before threads are waited for",
    "warnings:_filters_mutated": "new filters are looked at",
}
"""The same of Python itself."""

NUMPY = {
    "numpy:memmap()._mmap": "the whole of a mapped file",
}
"""The same of NumPy."""

NUMBA = {
    "numba.core.compiler:CompileResult._rebuild": "machine code that was kept on disk",
    "numba.core.compiler:CompileResult._reduce": "keeping machine code on disk",
    "numba.np.ufunc.ufuncbuilder:GUFuncBuilder()._sigs": "the types that a gufunc was made for",
}
"""The same of Numba, where it is installed."""
