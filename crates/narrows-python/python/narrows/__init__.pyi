from contextlib import AbstractContextManager
from typing import Final

__version__: Final[str]
traced: Final[bool]

def op() -> None: ...
def region(name: str, /) -> AbstractContextManager[None, None]: ...
