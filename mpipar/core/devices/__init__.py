"""What kernels are evaluated on: the table of devices. A further one is a file here, and a line."""

from __future__ import annotations

from mpipar.core.devices.compiled import COMPILED
from mpipar.core.devices.cpu import CPU
from mpipar.core.devices.gpu import GPU
from mpipar.core.devices.port import Device

DEVICES: dict[str, Device] = {device.name: device for device in (CPU, COMPILED, GPU)}

AUTO = "auto"
"""For what a user may ask: the first of GPU, compiled code and CPU that the kernel can use and all
ranks have.
"""


def before_looking(wanted: str) -> str:
    """Return the name of the device that a kernel is bound to before anybody looks what is here."""
    if wanted in DEVICES:
        return wanted
    return CPU.name
