class Page:
    """The shared counters, laid out as in narrows-gate: the stop word at byte 64, from byte 128 on
    one counter every 64 bytes."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        if self.map[:4] != b"nCt1":
            raise ValueError(f"{path} is no page of counters")
        self.words = memoryview(self.map).cast("Q")

    STOP = 8

    @staticmethod
    def slot(index):
        return 16 + 8 * index


class Crew:
    """Threads that sleep between runs."""

    def __init__(self, rung, page, first_slot, say):
        self.rung, self.page, self.first_slot, self.say = rung, page, first_slot, say
        self.turns = []
        self.running = 0
        self.lock = threading.Lock()

    def run(self, count):
        while len(self.turns) < count:
            index = len(self.turns)
            self.turns.append(queue.SimpleQueue())
            threading.Thread(target=self.live, args=(index,), daemon=True).start()
        with self.lock:
            self.running = count
        for turns in self.turns[:count]:
            turns.put(True)

    def live(self, index):
        words, stop, slot = self.page.words, Page.STOP, Page.slot(self.first_slot + index)
        count = words[slot]
        turns = self.turns[index]
        op = None
        try:
            while True:
                turns.get()
                if op is None:
                    op = self.rung.lane(index)
                while not words[stop]:
                    op()
                    count += 1
                    words[slot] = count
                with self.lock:
                    self.running -= 1
                    last = self.running == 0
                if last:
                    self.say({"answer": "stopped"})
        except BaseException as error:
            self.say(trouble(error))


def trouble(error):
    """An exception as an answer."""
    words = f"{type(error).__name__}: {error}".strip().replace("\n", " ")[:600]
    if isinstance(error, Missing):
        return {"answer": "missing", "detail": str(error)}
    if isinstance(error, Unsupported):
        return {"answer": "unsupported", "detail": str(error)}
    if isinstance(error, ImportError):
        return {"answer": "missing", "detail": f"import failed: {words}"}
    return {"answer": "failed", "detail": words}


def open_rung(order):
    job = Job(order)
    make = RUNGS.get((job.api, job.rung))
    if make is None:
        raise Unsupported(f"the harness has no rung {job.rung} for {job.api}")
    rung = make()
    ready = rung.open(job)
    data = rung.result()
    if job.result is not None:
        with open(job.result, "wb") as file:
            file.write(data)
    ready["answer"] = "ready"
    return rung, job, ready


def main():
    # Libraries print; what they print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # Ctrl-C is for narrows to handle: it ends this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.path and sys.path[0] == "":
        # As with a script: the folder that narrows was started in holds no packages.
        del sys.path[0]
    lock = threading.Lock()

    def say(answer):
        with lock:
            answers.write(PREFIX + json.dumps(answer) + "\n")
            answers.flush()

    crew = None
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        try:
            if order["order"] == "open":
                rung, job, ready = open_rung(order)
                crew = Crew(rung, Page(job.page), job.slot, say)
                say(ready)
            else:
                crew.run(order["threads"])
        except BaseException as error:
            say(trouble(error))
    # Threads may hang in a driver; nothing of them is needed any more.
    os._exit(0)


if __name__ == "__main__":
    main()
