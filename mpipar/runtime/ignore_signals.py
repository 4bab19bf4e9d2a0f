"""For the fork server alone: it and all workers ignore what tells a rank to stop early.

Schedulers send signals to all processes of a job. A rank that is told to stop lets its workers
finish the blocks in flight.
"""

import signal

for _number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, signal.SIG_IGN)
