"""Which boot this is. Instants of a monotonic clock mean something only within one."""

from fleetroll_agent.launcher.files import read_small

_PATH = "/proc/sys/kernel/random/boot_id"


def read_boot_id(path: str = _PATH) -> str:
    """Return the kernel's id of this boot; empty where it has none: then every start counts as another boot."""
    try:
        data = read_small(path, 256)
    except OSError:
        return ""
    return "" if data is None else data.decode("ascii", "replace").strip()
