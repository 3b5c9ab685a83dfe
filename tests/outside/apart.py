"""Work in a process of its own, beside the one that watches: Python's threads would keep each other waiting."""

import contextlib
import multiprocessing
import traceback

fork = multiprocessing.get_context("fork")


@contextlib.contextmanager
def apart(work, *arguments):
    """Does `work(stop, *arguments)` until `stop` is set, at the end of the `with`; `found` is then what it gave."""
    stop, (ours, theirs) = fork.Event(), fork.Pipe(duplex=False)

    def carry_out():
        try:
            theirs.send((True, work(stop, *arguments)))
        except BaseException:
            theirs.send((False, traceback.format_exc()))

    class Work:
        found = None

    process, told = fork.Process(target=carry_out, daemon=True), Work()
    process.start()
    theirs.close()
    try:
        yield told
    finally:
        stop.set()
        fine, found = ours.recv() if ours.poll(30) else (False, "it did not end within 30 s")
        process.join(1)
        if process.is_alive():
            process.kill()
            process.join()
    assert fine, found
    told.found = found
