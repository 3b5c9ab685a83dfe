"""Holds the page of the admin address to what it is made from: page.py URL FOLDER

Opens URL in a real Chromium, without a screen, and checks that
  - each figure is the one that /status gives, and none is missing
  - the page asks nobody but its own origin, and only for itself and /status
  - its script and styles run without an error or a warning of the browser
  - it has a light and a dark theme, and text that can be read in both
  - nothing scrolls sideways on a phone, a tablet and a desktop
  - both hold for long names and all that can go wrong, too, and a name is text, whatever markup it looks like
  - every plot says in words what it shows
  - it says so when nobody answers, and goes on when somebody does
It writes light.png, dark.png and phone.png to FOLDER, prints what it checked, and exits with 0; or prints what is wrong,
and exits with 1. Needs chromium and chromedriver, and of Python nothing but its own library.

Figures are compared with two answers, from before and after the page's own; so it may run beside traffic, but it is
surest on a quiet daemon. What the page works out itself, its plots and latencies, is not held to anything here.
"""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 10  # seconds, for each thing waited for
DEADLINE = 60  # seconds, for all: a hang is a failure
PHONE, TABLET, DESKTOP = 360, 768, 1440

# What goes on between two answers, up or down.
CLOCKS = re.compile(
    r"^(uptime_seconds|drain\.seconds_left|workers\..*\.silent_seconds"
    r"|peers\..*\.(since_seconds|last_seen_seconds|next_try_seconds))$"
)
# Where the items of a list are named, and by what.
NAMED = {"listeners": "name", "workers": "name", "sources": "source", "peers": "name"}
# What a page for people leaves out, or shows only when there is something to show.
LEFT_OUT = re.compile(
    r"^(latency\.|config\.reload|workers\..*\.name$|sources\..*\.source$"
    r"|peers\..*\.(via|connection|backoff_seconds|dials)$)"
)
ONLY_ABOVE_ZERO = re.compile(r"^(connections\.closed\.|listeners\..*\.(too_long|cut_short|bad_input|slowed)$)")


class Wrong(Exception):
    """What a check found."""


class Ended(Exception):
    """Out of time, or told to end: no check may take it for its own finding, and go on."""


def get(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


class Browser:
    """A session of Chromium, through WebDriver."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self.base += "/session/" + self.post("/session", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]

    def send(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Wrong(f"the browser: {json.load(error)['value']['message']}") from None

    def post(self, path, body):
        return self.send("POST", path, body)

    def run(self, script, *arguments):
        return self.post("/execute/sync", {"script": script, "args": arguments})

    def devtools(self, command, **parameters):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        return self.post("/se/log", {"type": kind})

    def theme(self, theme):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def width(self, width, height=900):
        """A window of this size; Chromium's own cannot be as narrow as a phone."""
        phone = width == PHONE
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    def screenshot(self, path):
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def eventually(self, what, script, *arguments):
        end = time.monotonic() + PATIENCE
        while not (value := self.run(script, *arguments)):
            if time.monotonic() > end:
                raise Wrong(f"{what}: not within {PATIENCE} seconds")
            time.sleep(0.05)
        return value


@contextlib.contextmanager
def browser():
    """Chromium for as long as the block runs. It is of chromedriver's process group, and that ends whatever happens."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Profiles go there too, and so with it.
        driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env=os.environ | {"TMPDIR": folder},
        )
        session = None
        try:
            started = (re.search(r"started successfully on port (\d+)", line) for line in driver.stdout)
            port = next((found[1] for found in started if found), None)
            if port is None:
                raise Wrong("chromedriver did not start")
            session = Browser(port)
            yield session
        finally:
            signal.alarm(0)
            if session is not None:
                with contextlib.suppress(OSError, Wrong):
                    session.send("DELETE", "")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
            driver.stdout.close()


def leaves(value, path=""):
    """Each path of /status as the page writes it, with its value; a list of texts is one value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif path in NAMED:
        for item in value:
            for key, inner in item.items():
                yield f"{path}.{item[NAMED[path]]}.{key}", inner
    else:
        yield path, value


def by_path(pairs):
    """All values of each path, in order: two listeners have one name, while one of them is on its way out."""
    values = {}
    for path, value in pairs:
        values.setdefault(path, []).append(value)
    return values


def read(text, like):
    """The raw value of a figure: texts are written as they are, all else as JSON."""
    return text if isinstance(like, str) else json.loads(text)


def agrees(path, shown, before, after):
    if shown in (before, after):
        return True
    numbers = all(isinstance(value, (int, float)) for value in (shown, before, after))
    return numbers and (bool(CLOCKS.match(path)) or min(before, after) <= shown <= max(before, after))


def compare(figures, before, after):
    """What is wrong with the figures, if the page asked between these two answers."""
    shown, before, after = by_path(figures), by_path(leaves(before)), by_path(leaves(after))
    for path, olds in before.items():
        news = after.get(path, olds)
        needed = not LEFT_OUT.match(path) and not (ONLY_ABOVE_ZERO.match(path) and 0 in olds)
        if path not in shown:
            if needed and olds != [None]:
                yield f"{path} is {olds[0]!r} and not on the page"
            continue
        if not len(shown[path]) == len(olds) == len(news):
            yield f"{path} is {len(shown[path])} times on the page, and {len(news)} times in /status"
            continue
        for text, old, new in zip(shown[path], olds, news):
            if not agrees(path, read(text, old), old, new):
                yield f"{path} is {text} on the page, and {new!r} in /status"
    for path, texts in shown.items():
        # Below what is null, as `drain`, there is nothing; the page then says null.
        if path not in before and path not in after and texts != ["null"]:
            yield f"{path} is {texts[0]} on the page, and not in /status"


FIGURES = """return [...document.querySelectorAll("[data-figure]")].map(e => [e.dataset.figure, e.dataset.value ?? null])"""
UPTIME = """return Number(document.querySelector("[data-figure=uptime_seconds]").dataset.value) > arguments[0]"""


def figures(page, status):
    for _ in range(5):
        before = get(status)
        page.eventually("the page asks again", UPTIME, before["uptime_seconds"])
        shown = page.run(FIGURES)
        after = get(status)
        if missing := [path for path, text in shown if text is None]:
            raise Wrong(f"figures without a value: {missing}")
        wrong = list(compare(shown, before, after))
        if not wrong:
            return f"{len(shown)} figures are those of /status"
    raise Wrong("\n".join(wrong))


def requests(page, url):
    allowed = {url, urllib.parse.urljoin(url, "status")}
    messages = (json.loads(entry["message"])["message"] for entry in page.log("performance"))
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    # A data: URL is no request, but is told as one.
    others = {asked_url for asked_url in asked if not asked_url.startswith("data:")} - allowed
    if others:
        raise Wrong(f"the page asks for {sorted(others)}")
    if not allowed <= set(asked):
        raise Wrong(f"the requests were not seen: {asked}")
    return f"{len(asked)} requests, all for the page and /status"


def console(page):
    complaints = [entry["message"] for entry in page.log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    if complaints:
        raise Wrong("the browser complains:\n" + "\n".join(complaints))
    return "the browser has no complaint"


# Each visible element that has text of its own: how far its colour is from what lies behind it (WCAG 2, contrast ratio).
CONTRAST = """
const rgb = text => text.match(/[\\d.]+/g).map(Number);
const light = colour => colour.slice(0, 3).map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = e => { const c = rgb(getComputedStyle(e).backgroundColor); return c[3] === 0 ? behind(e.parentElement) : c; };
const texts = [...document.body.querySelectorAll("*")].filter(e => e.checkVisibility()
  && [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim() !== ""));
return texts.map(e => {
  const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
  return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim().slice(0, 40)];
})"""
BACKGROUND = """return getComputedStyle(document.body).backgroundColor"""


def contrast(page):
    least, text = min(page.run(CONTRAST))
    if least < 4.5:
        raise Wrong(f"the contrast of {text!r} is {least:.1f}, and less than 4.5, on {page.run(BACKGROUND)}")
    return least


def themes(page, folder):
    backgrounds, least = {}, []
    for theme in ("light", "dark"):
        page.theme(theme)
        backgrounds[theme] = page.run(BACKGROUND)
        least.append(contrast(page))
        page.screenshot(os.path.join(folder, f"{theme}.png"))
    brightness = {theme: sum(map(int, re.findall(r"\d+", colour)[:3])) for theme, colour in backgrounds.items()}
    if not brightness["dark"] < 3 * 128 < brightness["light"]:
        raise Wrong(f"the backgrounds are {backgrounds}")
    return f"backgrounds {backgrounds['light']} and {backgrounds['dark']}, contrast at least {min(least):.1f}"


def fits(page):
    for width in (DESKTOP, TABLET, PHONE):
        page.width(width)
        wide, seen = page.run("return [document.documentElement.scrollWidth, window.innerWidth]")
        if wide > width or seen != width:
            raise Wrong(f"at {width} pixels the page is {wide} wide, in a window of {seen}")


def widths(page, folder):
    fits(page)
    page.screenshot(os.path.join(folder, "phone.png"))
    page.width(DESKTOP)
    return f"nothing scrolls sideways at {PHONE}, {TABLET} and {DESKTOP} pixels"


PLOTS = """return [...document.querySelectorAll("[data-plot]")].map(e => [e.dataset.plot,
  e.querySelector("svg").getAttribute("role"), e.querySelector("svg").getAttribute("aria-label") ?? "",
  e.querySelector(".line").getAttribute("d")])"""


MARKUP = '<img src="x">' + "long" * 50
NEVER = "1970-01-01T00:00:00Z"


def worst(status):
    """The same daemon on its worst day, by names that were chosen by an enemy."""
    faults = {"too_long": 1, "cut_short": 2**40, "bad_input": 3, "slowed": 2**40, "messages": 2**53, "bytes_sent": 2**53}
    texts = {"name": MARKUP, "state": "removed", "addresses": [MARKUP] * 3, "framing": MARKUP, "transform": [MARKUP] * 2}
    changes = [{"key": MARKUP, "old": None, "new": MARKUP, "effect": "needs restart"}]
    reload = {"at": NEVER, "by": MARKUP, "outcome": "refused", "took_seconds": 1.5, "changes": changes}
    config = {"file": "/" + MARKUP, "stale": True, "restart_pending": [MARKUP] * 2}
    config["reload"] = reload | {"warnings": [MARKUP], "error": f"{MARKUP}\n" * 50}
    connections = {"open": 2**40, "max": 2**40, "closed": {MARKUP: 2**40}}
    counts = dict.fromkeys(["messages", "answers", "loops", "connection"], 2**53)
    clocks = ["since_seconds", "last_seen_seconds", "round_trip_seconds", "next_try_seconds", "backoff_seconds"]
    texts_of_peer = dict.fromkeys(["name", "address", "via", "state", "remote", "why"], MARKUP)
    peer = texts_of_peer | counts | dict.fromkeys(clocks, 1e9) | {"dialled": False, "dials": {MARKUP: 2**53}}
    # one that never was anything but a name
    nothing = dict.fromkeys(["remote", "connection", "dialled", "why", *clocks[1:4]])
    return status | {
        "state": "draining",
        "drain": {"seconds_left": 86399.5},
        "config": status["config"] | config,
        "connections": status["connections"] | connections,
        "refused": dict.fromkeys(status["refused"], 2**40),
        "listeners": [listener | texts | faults for listener in status["listeners"] * 12],
        "workers": [{"name": MARKUP, "open": 2**40, "accepted": 2**40, "panics": 2**40, "resting": True, "silent_seconds": 1e6}] * 64,
        "sources": [{"source": MARKUP, "open": 2**40}] * 20,
        "log": {"level": MARKUP, "dropped": 2**40},
        "peers": [peer, peer | nothing] * 6,
    }


ANSWER = """window.honest = window.fetch; window.fetch = async () => new Response(arguments[0])"""
HONEST = """window.fetch = window.honest"""
FILE = """return (document.querySelector("[data-figure='config.file']").textContent === arguments[0]) === arguments[1]"""
IMAGES = """return document.images.length"""


def bad_days(page, status):
    day = worst(get(status))
    page.run(ANSWER, json.dumps(day))
    try:
        page.eventually("the page shows the worst", FILE, day["config"]["file"], True)
        # Nothing of it is left out: all of it went through the same places as the figures of a good day.
        wrong = list(compare(page.run(FIGURES), day, day))
        if wrong or page.run(IMAGES):
            raise Wrong("\n".join(wrong) or "a name became markup")
        fits(page)
        page.width(DESKTOP)
        for theme in ("light", "dark"):
            page.theme(theme)
            contrast(page)
    finally:
        page.run(HONEST)
        page.eventually("the page shows the truth again", FILE, day["config"]["file"], False)
    return "long names, markup in names, and all that can go wrong at once do no harm"


DRAWN = """return document.querySelector("[data-plot=messages] .line").getAttribute("d") !== "" """


def plots(page):
    # A line needs two differences, and so three answers.
    page.eventually("the plots have a line", DRAWN)
    all_plots = page.run(PLOTS)
    if len(all_plots) < 9:
        raise Wrong(f"there are only {len(all_plots)} plots")
    for name, role, label, line in all_plots:
        # Where nobody is answered there are no latencies to draw.
        if role != "img" or not label or not (line or "." in name):
            raise Wrong(f"the plot {name} has the role {role!r}, the label {label!r} and the line {line!r}")
        if "NaN" in label + line or "undefined" in label + line:
            raise Wrong(f"the plot {name} shows what is no number: {label!r}")
    return f"{len(all_plots)} plots, each told in words"


STATE = """return document.body.dataset.state"""
IN_STATE = """return (document.body.dataset.state === "lost") === arguments[0]"""


def losses(page):
    def offline(yes):
        page.devtools(
            "Network.emulateNetworkConditions", offline=yes, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    before = page.run(STATE)
    page.devtools("Network.enable")
    offline(True)
    page.eventually("the page says that nobody answers", IN_STATE, True)
    words = page.run("return document.querySelector('.state').innerText")
    if "No answer" not in words or not re.search(r"the last figures came .* ago", words):
        raise Wrong(f"when nobody answers the page says {words!r}")
    offline(False)
    page.eventually("the page goes on", IN_STATE, False)
    if page.run(STATE) != before:
        raise Wrong(f"the state was {before}, and after a loss it is {page.run(STATE)}")
    return "a loss is told, and got over"


def end(number, _):
    signal.alarm(0)
    raise Ended(f"not done within {DEADLINE} seconds" if number == signal.SIGALRM else "told to end")


def main():
    url, folder = sys.argv[1:]
    url = urllib.parse.urljoin(url, urllib.parse.urlsplit(url).path or "/")
    for number in (signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, end)
    signal.alarm(DEADLINE)
    os.makedirs(folder, exist_ok=True)
    status = urllib.parse.urljoin(url, "status")
    wrong = False
    with browser() as page:
        page.width(DESKTOP)
        page.post("/url", {"url": url})
        page.eventually("the page shows figures", "return !document.querySelector('main').hidden")
        checks = {
            "figures": lambda: figures(page, status),
            "themes": lambda: themes(page, folder),
            "widths": lambda: widths(page, folder),
            "bad days": lambda: bad_days(page, status),
            "plots": lambda: plots(page),
            "requests": lambda: requests(page, url),
            "console": lambda: console(page),
            # The last one: the browser itself complains of a loss.
            "losses": lambda: losses(page),
        }
        for name, check in checks.items():
            try:
                print(f"{name}: {check()}", flush=True)
            except Wrong as found:
                wrong = True
                print(f"{name}: WRONG: {found}", flush=True)
    return int(wrong)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Wrong, Ended, OSError) as found:
        print(f"WRONG: {found}")
        sys.exit(1)
