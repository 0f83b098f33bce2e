"""What the fronts of the packages share: names that are imported when they are first asked for, and the version."""

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package; homes: the module of each name that it offers (PEP 562)."""

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return version()
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    def __dir__() -> list[str]:
        own = vars(import_module(package))
        modules = (name for name, value in own.items() if isinstance(value, ModuleType))
        return sorted({*modules, *(name for name in own if name.startswith("__")), *homes, "__version__"})

    return __getattr__, __dir__


def version() -> str:
    """That of nicebeach as installed; "0+unknown" where it runs from its sources alone."""
    from importlib import metadata  # takes longer to load than all that a front does

    try:
        return metadata.version("nicebeach")
    except metadata.PackageNotFoundError:
        return "0+unknown"
