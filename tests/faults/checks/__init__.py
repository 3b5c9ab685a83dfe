"""The checks, by category; `run` finds them by their names, which begin with the number of a fault."""


def needs(*names):
    """The check needs these programs, or `root`."""

    def mark(check):
        check.needs = names
        return check

    return mark


def alone(check):
    """The check measures, and wants the machine for itself."""
    check.alone = True
    return check


def lasts(seconds):
    """The check takes so long that it should begin early."""

    def mark(check):
        check.lasts = seconds
        return check

    return mark
