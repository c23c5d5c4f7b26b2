"""What a proxy's own processes used, read from /proc."""
import dataclasses
import os
import time


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def processes(pid):
    """The process and everything below it: nginx's worker, the gateway's two processes, apache's children."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in os.listdir(f"/proc/{one}/task"):
            waiting += [int(child) for child in read(f"/proc/{one}/task/{task}/children").split()]
    return found


def processor_time(process):
    """Nanoseconds that a process ran, threads that ended included: the clock of clock_getcpuclockid(3)."""
    return time.clock_gettime_ns(~process << 3 | 2)


@dataclasses.dataclass
class Used:
    """Nanoseconds run, nanoseconds ready but without a core, clock ticks in user space and in the kernel."""

    ran: int = 0
    waited: int = 0
    user: int = 0
    system: int = 0
    machine: int = 0

    def __sub__(self, earlier):
        return Used(*(late - early for late, early in zip(dataclasses.astuple(self), dataclasses.astuple(earlier))))


def used(pid):
    """Everything that the proxy used until now, and what all cores of the machine did (nanoseconds)."""
    sum_of = Used()
    for process in processes(pid):
        sum_of.ran += processor_time(process)
        # A thread that ended takes its waiting with it, which makes the sum a little too small.
        for task in os.listdir(f"/proc/{process}/task"):
            sum_of.waited += int(read(f"/proc/{process}/task/{task}/schedstat").split()[1])
        fields = read(f"/proc/{process}/stat").rpartition(")")[2].split()
        sum_of.user += int(fields[11])
        sum_of.system += int(fields[12])
    ticks = [int(value) for value in read("/proc/stat").splitlines()[0].split()[1:]]
    # Idle and waiting for a disk are no work.
    sum_of.machine = (sum(ticks) - ticks[3] - ticks[4]) * (1_000_000_000 // os.sysconf("SC_CLK_TCK"))
    return sum_of


def resident_kib(pid):
    """Resident memory of all the proxy's processes; pages that they share count once for each."""
    sum_of = 0
    for process in processes(pid):
        for line in read(f"/proc/{process}/status").splitlines():
            if line.startswith("VmRSS:"):
                sum_of += int(line.split()[1])
    return sum_of
