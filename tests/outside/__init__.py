"""What the tests that run a finished program from outside share: Python 3 with nothing but its library."""
