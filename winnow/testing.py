"""For the tests of methods that live in another repository; needs pytest."""

from winnow.models.check.suite import MethodTests

__all__ = ["MethodTests"]
